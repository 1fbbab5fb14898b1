/** A machine that leaves an agent, or comes to it, with the other end of its stream in the test's hands. */
import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { createMachineHost, type MachineHost, sampleOrder, webId } from '../machines/machine-host.fixture.ts'

const target = { hostId: hostIdOf('bob'), hostName: 'bob', address: '10.0.0.2', port: 7443 }
const leaving = { target, copied: [], canPostCopy: true }

/** The other host: takes the line, and answers it or not. */
function otherEnd(answer: 'loaded' | 'nothing'): Duplex {
  const stream: Duplex = new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, done) => {
      if (answer === 'loaded') stream.push('loaded\n')
      else stream.destroy()
      done()
    },
  })
  stream.on('error', () => undefined)
  return stream
}

const orderOf = (host: MachineHost, epoch: number) => ({ authority: { term: 1, session: host.session }, epoch })
const keeperOf = (host: MachineHost, epoch: number) => host.room.keeperFor(webId, orderOf(host, epoch))

async function depart(host: MachineHost, answer: 'loaded' | 'nothing') {
  host.openStream = async () => otherEnd(answer)
  await keeperOf(host, 1).prepareDeparture()
  keeperOf(host, 1).depart(leaving)
  await host.clock.advance(1_000)
  return keeperOf(host, 1).followDeparture(0)
}

async function startRunning(guests: Parameters<typeof createMachineHost>[1] = {}): Promise<MachineHost> {
  const host = await createMachineHost(undefined, guests)
  await host.start(1)
  await host.clock.advance(200)
  assert.equal(host.report()?.phase, 'running')
  return host
}

describe('a machine that leaves', () => {
  test('stands still when all of it was sent, and neither a licence nor time lets it run again', async () => {
    const host = await startRunning()
    assert.equal((await depart(host, 'loaded')).state, 'sent')
    assert.equal(host.records.get(webId)?.handedOverTo, 'bob')
    await host.pass(5_000)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'frozen'])
  })

  test('is written down as handed over before the last of it is sent', async () => {
    const host = await startRunning()
    const seen: (string | null | undefined)[] = []
    const stream = otherEnd('loaded')
    const write = stream._write.bind(stream)
    stream._write = (chunk, encoding, done) => {
      seen.push(host.records.get(webId)?.handedOverTo)
      write(chunk, encoding, done)
    }
    host.openStream = async () => stream
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart(leaving)
    await host.clock.advance(1_000)
    assert.deepEqual(seen, ['bob'])
  })

  test('that was handed over and dies is not restarted here, by this agent or the next', async () => {
    const host = await startRunning()
    await depart(host, 'loaded')
    host.kill()
    await host.pass(2_000)
    assert.equal(host.living(), undefined)
    await host.restartAgent()
    await host.pass(2_000)
    assert.deepEqual([host.living(), host.records.get(webId)?.handedOverTo], [undefined, 'bob'])
  })

  test('that was handed over stands still under the next agent, until the leader says that it is alone here', async () => {
    const host = await startRunning()
    await depart(host, 'loaded')
    await host.restartAgent()
    host.renewLease()
    await host.pass(1_000)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'frozen'])
    await keeperOf(host, 1).abandonDeparture(false)
    await host.pass(500)
    assert.equal(host.living()?.state, 'paused')
    host.renewLease()
    await keeperOf(host, 1).abandonDeparture(true)
    await host.pass(500)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['running', 'running'])
    assert.equal(host.records.get(webId)?.handedOverTo, null)
  })

  test('that stood still and goes on needs its licence again, and the watchdog has heard so', async () => {
    const host = await startRunning()
    await depart(host, 'loaded')
    await host.restartAgent()
    assert.deepEqual(
      host.watchdog?.machines.map(({ isFrozen }) => isFrozen),
      [true],
    )
    host.renewLease()
    await keeperOf(host, 1).abandonDeparture(true)
    await host.clock.advance(100)
    assert.equal(host.living()?.state, 'running')
    assert.deepEqual(
      host.watchdog?.machines.map(({ isFrozen }) => isFrozen),
      [false],
    )
  })

  test('that was handed over and died is brought back here once it is alone', async () => {
    const host = await startRunning()
    await depart(host, 'loaded')
    host.kill()
    await host.pass(500)
    host.renewLease()
    await keeperOf(host, 1).abandonDeparture(true)
    await host.pass(1_000)
    assert.equal(host.living()?.state, 'running')
  })

  test('runs on at once when nobody can be reached, and may leave later', async () => {
    const host = await startRunning()
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart(leaving)
    await host.clock.advance(500)
    assert.equal((await keeperOf(host, 1).followDeparture(0)).state, 'failed')
    assert.equal(host.living()?.state, 'running')
    await keeperOf(host, 1).abandonDeparture(true)
    host.renewLease()
    assert.equal((await depart(host, 'loaded')).state, 'sent')
  })

  test('that takes long to stand still, and is called off meanwhile, goes on and is not stopped any more', async () => {
    const storage = Promise.withResolvers<void>()
    const host = await startRunning({ drained: () => storage.promise })
    host.openStream = async () => otherEnd('loaded')
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart(leaving)
    await host.clock.advance(500)
    assert.equal(host.living()?.state, 'paused')
    host.renewLease()
    const over = keeperOf(host, 1).abandonDeparture(true)
    await host.pass(1_000)
    await over
    assert.equal(host.living()?.state, 'running')
    host.renewLease()
    await host.clock.advance(2_500)
    storage.resolve()
    await host.clock.advance(100)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['running', 'running'])
  })

  test('whose last words got lost stands still: the other host may have them', async () => {
    const host = await startRunning()
    assert.equal((await depart(host, 'nothing')).state, 'failed')
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'frozen'])
    host.renewLease()
    await keeperOf(host, 1).abandonDeparture(true)
    assert.equal(host.living()?.state, 'running')
  })

  test('that its guest outruns may run elsewhere before all of it is sent, and then never runs here again', async () => {
    const host = await startRunning({ isOutrunning: true, followMs: 300 })
    host.openStream = async () => otherEnd('loaded')
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart(leaving)
    await host.clock.advance(200)
    const { state, method } = await keeperOf(host, 1).followDeparture(0)
    assert.deepEqual([state, method, host.records.get(webId)?.handedOverTo], ['following', 'post-copy', 'bob'])
    await host.clock.advance(1_000)
    assert.equal((await keeperOf(host, 1).followDeparture(0)).state, 'sent')
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'frozen'])
  })

  test('that may run elsewhere already and is called off is brought back from its disks: half of its memory is none', async () => {
    const host = await startRunning({ isOutrunning: true, followMs: 60_000 })
    const before = host.living()?.pid
    host.openStream = async () => otherEnd('loaded')
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart(leaving)
    await host.clock.advance(200)
    host.renewLease()
    const over = keeperOf(host, 1).abandonDeparture(true)
    await host.clock.advance(1_000)
    await over
    host.renewLease()
    await host.pass(1_000)
    assert.notEqual(host.living()?.pid, before)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['running', 'running'])
  })

  test('has no image captured of it meanwhile, and is not sent while one is being captured', async () => {
    const host = await startRunning()
    await keeperOf(host, 1).prepareDeparture()
    await assert.rejects(keeperOf(host, 1).capture('recovery'), { name: 'DialtoneError' })
  })
})

describe('a machine that comes', () => {
  const expected = {
    sourceHostId: hostIdOf('bob'),
    departing: { plugged: [], startedBy: 'boot' as const },
    copied: [],
  }

  async function expectIt(host: MachineHost, epoch = 2) {
    const waits = host.room.expectArrival({ ...orderOf(host, epoch), ...expected, machine: sampleOrder() })
    await host.clock.advance(200)
    await waits
  }

  const streamOf = (host: MachineHost) => keeperOf(host, 2).takeStream(hostIdOf('bob'))

  async function sendIt(host: MachineHost) {
    const stream = await streamOf(host)
    stream.write('x\n')
    await host.clock.advance(50)
  }

  test('claims nothing and does not run before the leader’s word, and then it claims first', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await sendIt(host)
    await host.pass(1_000)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'starting'])
    assert.equal(host.history.includes('claim 2.0'), false)
    host.renewLease()
    const completing = keeperOf(host, 2).completeArrival()
    await host.clock.advance(1_500)
    await completing
    assert.deepEqual([host.living()?.state, host.living()?.memory, host.report()?.phase], ['running', 'x', 'running'])
    const runs = host.history.findLastIndex((entry) => entry.startsWith('phase') && entry.includes('running'))
    assert.ok(host.history.indexOf('claim 2.0') < runs, host.history.join('\n'))
  })

  test('whose disk could not be claimed is let run when it can be: it is not taken for one that runs already', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await sendIt(host)
    host.renewLease()
    host.storage.setFault({ kind: 'refuses' })
    await assert.rejects(keeperOf(host, 2).completeArrival(), { code: 'storage-failed' })
    assert.equal(host.living()?.state, 'paused')
    host.storage.setFault({ kind: 'none' })
    const completing = keeperOf(host, 2).completeArrival()
    await host.clock.advance(1_500)
    await completing
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['running', 'running'])
  })

  test('is let in from the host that the leader named only, and once', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await assert.rejects(keeperOf(host, 2).takeStream(hostIdOf('eve')), /not expected/)
    await assert.rejects(keeperOf(host, 2).takeStream(undefined), /not expected/)
    await keeperOf(host, 2).takeStream(hostIdOf('bob'))
    await assert.rejects(keeperOf(host, 2).takeStream(hostIdOf('bob')), /not expected/)
  })

  test('is expected once, however often that is ordered', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    const pid = host.living()?.pid
    await expectIt(host)
    assert.equal(host.living()?.pid, pid)
  })

  test('that the next agent finds waiting is ended: its order belonged to another session', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await host.restartAgent()
    await host.pass(500)
    assert.deepEqual([host.living(), host.report(), host.records.size], [undefined, undefined, 0])
  })

  async function complete(host: MachineHost) {
    host.renewLease()
    const completing = keeperOf(host, 2).completeArrival()
    completing.catch(() => undefined)
    await host.clock.advance(10_000)
    return completing
  }

  test('whose stream breaks off is failed, and never runs unless the leader has made it this host’s', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    const stream = await keeperOf(host, 2).takeStream(hostIdOf('bob'))
    stream.destroy()
    await host.clock.advance(500)
    assert.equal(host.report()?.phase, 'failed')
    await host.pass(2_000)
    assert.equal(host.living(), undefined)
  })

  for (const [what, lose] of [
    ['did not come as a whole', async (host: MachineHost) => (await streamOf(host)).destroy()],
    ['dies before it was let run', async (host: MachineHost) => sendIt(host).then(() => host.kill())],
  ] as const) {
    test(`that is this host’s and ${what} is brought back from its disks, and that is told`, async () => {
      const host = await createMachineHost()
      await expectIt(host)
      await lose(host)
      await host.clock.advance(500)
      const { resumedAtMs, lost } = await complete(host)
      assert.equal(resumedAtMs, null)
      assert.match(lost ?? '', /./)
      host.renewLease()
      await host.pass(2_000)
      assert.deepEqual(
        [host.living()?.state, host.living()?.memory === 'x', host.report()?.phase],
        ['running', false, 'running'],
      )
      assert.equal((await complete(host)).lost, lost)
    })
  }

  /** It may run before its memory is here, which the test then sends, or not. */
  async function runWithoutMemory(host: MachineHost): Promise<Duplex> {
    await expectIt(host)
    const stream = await streamOf(host)
    stream.write('devices\n')
    await host.clock.advance(50)
    const { isWhole, lost } = await complete(host)
    assert.deepEqual([isWhole, lost], [false, null])
    assert.equal(host.living()?.state, 'running')
    return stream
  }

  test('may run before all of its memory is here, and is whole when that is', async () => {
    const host = await createMachineHost()
    const stream = await runWithoutMemory(host)
    stream.write('x\n')
    await host.clock.advance(50)
    const { isWhole, lost } = await complete(host)
    assert.deepEqual([isWhole, lost, host.living()?.memory, host.living()?.state], [true, null, 'x', 'running'])
    await keeperOf(host, 2).abandonArrival('too late for that')
    assert.equal(host.living()?.memory, 'x')
  })

  for (const [what, lose] of [
    ['its stream breaks off', async (_host: MachineHost, stream: Duplex) => void stream.destroy()],
    [
      'the leader gives the rest up',
      async (host: MachineHost) => keeperOf(host, 2).abandonArrival('its source is gone'),
    ],
    ['its agent ends', async (host: MachineHost) => host.restartAgent()],
  ] as const) {
    test(`that runs before all of its memory is here ends when ${what}, and is brought back from its disks`, async () => {
      const host = await createMachineHost()
      const stream = await runWithoutMemory(host)
      const torn = host.living()?.pid
      const losing = lose(host, stream)
      await host.clock.advance(500)
      await losing
      host.renewLease()
      await host.pass(2_000)
      assert.notEqual(host.living()?.pid, torn)
      assert.deepEqual(
        [host.living()?.state, host.living()?.arrival, host.report()?.phase],
        ['running', 'none', 'running'],
      )
    })
  }

  test('that was here as a whole when its agent ended waits under the next one, and goes on with its memory at the leader’s word', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await sendIt(host)
    const pid = host.living()?.pid
    await host.restartAgent()
    host.renewLease()
    await host.pass(1_000)
    assert.deepEqual([host.living()?.pid, host.living()?.state, host.report()?.phase], [pid, 'paused', 'starting'])
    const { lost } = await complete(host)
    assert.deepEqual([lost, host.living()?.pid, host.living()?.memory], [null, pid, 'x'])
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['running', 'running'])
  })

  test('that was here as a whole when its agent ended, and is let go, leaves nothing', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await sendIt(host)
    await host.restartAgent()
    await host.release(2)
    await host.clock.advance(500)
    assert.deepEqual([host.living(), host.records.size, host.isGuarded()], [undefined, 0, false])
  })

  test('is released like any other, and nothing of it is left', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    await host.release(2)
    await host.clock.advance(500)
    assert.deepEqual(
      [host.living(), host.report(), host.isGuarded(), host.records.size],
      [undefined, undefined, false, 0],
    )
  })
})
