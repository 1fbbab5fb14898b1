import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import { createMachineHost, type MachineHost, webId } from './machine-host.fixture.ts'

const entry = (host: MachineHost) => host.watchdog?.machines.find(({ vmId }) => vmId === webId)

async function startOn(leased: boolean) {
  const host = await createMachineHost()
  await host.start(1, { leased })
  const diskFails = () => host.world.setState(host.living()?.definition.runDirectory ?? '', 'io-error')
  /** As the agent does, under a lease that is renewed all the time. */
  const pass = async (milliseconds: number) => {
    for (let passedMs = 0; passedMs < milliseconds; passedMs += 400) {
      host.renewLease()
      await host.pass(400)
    }
  }
  return { host, diskFails, pass }
}

/** Whenever it runs, its disk returns an error at once; until the answer is called. */
function keepFailing({ host, diskFails }: Awaited<ReturnType<typeof startOn>>): () => void {
  const machine = host.living()
  assert.ok(machine)
  const observer = {
    onEvent: (event: { readonly kind: string; readonly state?: string }) => {
      if (event.kind === 'state' && event.state === 'running') queueMicrotask(diskFails)
    },
    onExit: () => undefined,
  }
  machine.observers.add(observer)
  return () => void machine.observers.delete(observer)
}

describe('a machine whose disk returned an error', () => {
  for (const leased of [true, false]) {
    test(`stands still, is told as frozen, and goes on by itself, ${leased ? 'with' : 'without'} a lease`, async () => {
      const { host, diskFails, pass } = await startOn(leased)
      diskFails()
      await pass(400)
      assert.equal(host.report()?.phase, 'frozen')
      assert.match(host.report()?.detail ?? '', /its storage returned an error/)
      if (leased) assert.equal(entry(host)?.isFrozen, true)
      await pass(3_000)
      assert.equal(host.report()?.phase, 'running')
      assert.equal(host.living()?.state, 'running')
      if (leased) assert.equal(entry(host)?.isFrozen, false)
    })
  }

  test('and whose guest hangs while it is tried again is recovered as ever', async () => {
    const opened = await startOn(true)
    const { host, diskFails, pass } = opened
    diskFails()
    await pass(400)
    while (host.living()?.state !== 'running') await pass(100)
    assert.equal(host.report()?.phase, 'frozen')
    host.world.hang(host.living()?.definition.runDirectory ?? '')
    await pass(3_000)
    assert.deepEqual(
      [host.report()?.phase, host.report()?.incarnation, host.living()?.state],
      ['running', 1, 'running'],
    )
  })

  test('is let go for another host only while nothing of it can be on its way to a disk', async () => {
    const opened = await startOn(true)
    const { host, diskFails, pass } = opened
    const letGo = async () => {
      const order = {
        authority: { term: 1, session: host.session },
        upToEpoch: 1,
        detail: 'by order',
        onlyIfStill: true,
      }
      const outcome = host.room.release(webId, order).then(
        () => 'let go',
        (error: unknown) => (error instanceof Error ? error.message : ''),
      )
      await pass(400)
      return outcome
    }
    assert.match(await letGo(), /may have a write on its way/, 'while it runs')
    const works = keepFailing(opened)
    diskFails()
    await pass(400)
    works()
    while (host.living()?.state !== 'running') await pass(100)
    assert.equal(host.report()?.phase, 'frozen')
    assert.match(await letGo(), /may have a write on its way/, 'while it is tried again')
    await pass(3_000)
    assert.equal(host.report()?.phase, 'running')
    diskFails()
    await pass(400)
    assert.equal(await letGo(), 'let go')
    assert.equal(host.living(), undefined)
  })

  test('is tried again less and less often, without a word, until its storage works', async () => {
    const opened = await startOn(true)
    const { host, diskFails, pass } = opened
    const works = keepFailing(opened)
    diskFails()
    await pass(56_000)
    assert.equal(host.report()?.phase, 'frozen')
    assert.equal(entry(host)?.isFrozen, true)
    assert.equal(host.history.filter((line) => line.includes('frozen')).length, 1)
    works()
    await pass(12_000)
    assert.equal(host.report()?.phase, 'running')
  })

  test('needs no licence while it stands still, and does not go on without one', async () => {
    const { host, diskFails, pass } = await startOn(true)
    diskFails()
    await host.pass(10_000)
    assert.equal(host.report()?.phase, 'frozen')
    assert.equal(entry(host)?.isFrozen, true)
    await pass(1_200)
    assert.equal(host.report()?.phase, 'running')
  })

  test('is the same for the next agent', async () => {
    const { host, diskFails, pass } = await startOn(true)
    await host.restartAgent({ meanwhile: diskFails })
    await pass(400)
    assert.equal(host.report()?.phase, 'frozen')
    await pass(3_000)
    assert.equal(host.report()?.phase, 'running')
  })

  test('and that is told to shut down hears it when it goes on', async () => {
    const { host, diskFails, pass } = await startOn(false)
    diskFails()
    await pass(400)
    await host.room.keeper(vmIdOf('web'))?.shutDown()
    assert.equal(host.report()?.phase, 'frozen')
    await pass(3_000)
    assert.equal(host.report()?.phase, 'stopped')
  })
})
