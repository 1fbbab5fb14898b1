/** A machine that leaves an agent, or comes to it, with the other end of its stream in the test's hands. */
import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { createMachineHost, type MachineHost, sampleOrder, webId } from '../machines/machine-host.fixture.ts'

const target = { hostId: hostIdOf('bob'), hostName: 'bob', address: '10.0.0.2', port: 7443 }

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
  keeperOf(host, 1).depart({ target, copied: [] })
  await host.clock.advance(1_000)
  return keeperOf(host, 1).followDeparture(0)
}

async function startRunning(): Promise<MachineHost> {
  const host = await createMachineHost()
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
    keeperOf(host, 1).depart({ target, copied: [] })
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
    keeperOf(host, 1).depart({ target, copied: [] })
    await host.clock.advance(500)
    assert.equal((await keeperOf(host, 1).followDeparture(0)).state, 'failed')
    assert.equal(host.living()?.state, 'running')
    await keeperOf(host, 1).abandonDeparture(true)
    host.renewLease()
    assert.equal((await depart(host, 'loaded')).state, 'sent')
  })

  test('whose last words got lost stands still: the other host may have them', async () => {
    const host = await startRunning()
    assert.equal((await depart(host, 'nothing')).state, 'failed')
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'frozen'])
    host.renewLease()
    await keeperOf(host, 1).abandonDeparture(true)
    assert.equal(host.living()?.state, 'running')
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

  async function sendIt(host: MachineHost) {
    const stream = await keeperOf(host, 2).takeStream(hostIdOf('bob'))
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

  test('whose stream breaks off is failed and never runs', async () => {
    const host = await createMachineHost()
    await expectIt(host)
    const stream = await keeperOf(host, 2).takeStream(hostIdOf('bob'))
    stream.destroy()
    await host.clock.advance(500)
    assert.equal(host.report()?.phase, 'failed')
    const completing = keeperOf(host, 2).completeArrival()
    completing.catch(() => undefined)
    await host.clock.advance(10_000)
    await assert.rejects(completing)
    assert.equal(host.living(), undefined)
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
