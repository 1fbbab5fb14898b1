/** The agent's side of disks that move: with their machine to another host, and to another storage of this one. */
import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import {
  createMachineHost,
  type MachineHost,
  rootId,
  sampleOrder,
  otherId as to,
  webId,
} from '../machines/machine-host.fixture.ts'
import { recoveryOf, startReady, warm } from '../recovery/recovering-machine.fixture.ts'

const target = { hostId: hostIdOf('bob'), hostName: 'bob', address: '10.0.0.2', port: 7443 }
const orderOf = (host: MachineHost, epoch: number) => ({ authority: { term: 1, session: host.session }, epoch })
const keeperOf = (host: MachineHost, epoch: number) => host.room.keeperFor(webId, orderOf(host, epoch))

/** The other end: answers each line that comes in, or closes. */
function otherEnd(answer: 'copied\n' | 'loaded\n' | 'closes', heard: string[] = []): Duplex {
  const stream: Duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      heard.push(chunk.toString().trim())
      if (answer === 'closes') stream.destroy()
      else stream.push(answer)
      done()
    },
  })
  stream.on('error', () => undefined)
  return stream
}

async function startRunning(): Promise<MachineHost> {
  const host = await createMachineHost()
  await host.start(1)
  await host.clock.advance(200)
  assert.equal(host.report()?.phase, 'running')
  return host
}

describe('a disk that goes with its machine', () => {
  async function depart(host: MachineHost, disk: Duplex, memory: Duplex) {
    host.openDiskStream = async () => disk
    host.openStream = async () => memory
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart({ target, copied: [{ volumeId: rootId, isOnSameBase: true }] })
    await host.clock.advance(1_500)
    return keeperOf(host, 1).followDeparture(0)
  }

  test('is there before the memory is sent', async () => {
    const host = await startRunning()
    const heard: string[] = []
    const report = await depart(host, otherEnd('copied\n', heard), otherEnd('loaded\n', heard))
    assert.deepEqual([report.state, report.disks], ['sent', { copiedBytes: 1024, totalBytes: 1024 }])
    assert.deepEqual(heard, ['', '-'], 'what was on the disk, then what was in memory')
  })

  test('that does not get there leaves the machine running here, and it may leave later', async () => {
    const host = await startRunning()
    const report = await depart(host, otherEnd('closes'), otherEnd('loaded\n'))
    assert.equal(report.state, 'failed')
    assert.deepEqual([host.living()?.state, host.records.get(webId)?.handedOverTo], ['running', null])
    await keeperOf(host, 1).abandonDeparture(true)
    host.renewLease()
    assert.equal((await depart(host, otherEnd('copied\n'), otherEnd('loaded\n'))).state, 'sent')
  })

  test('that is called off while it is copied is copied no further, and the machine runs on', async () => {
    const host = await startRunning()
    const silent = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() })
    host.openDiskStream = async () => silent
    await keeperOf(host, 1).prepareDeparture()
    keeperOf(host, 1).depart({ target, copied: [{ volumeId: rootId, isOnSameBase: true }] })
    await host.clock.advance(500)
    await keeperOf(host, 1).abandonDeparture(false)
    assert.deepEqual([silent.destroyed, host.living()?.state], [true, 'running'])
  })

  test('is filled from the host that the leader named only, and once', async () => {
    const host = await createMachineHost()
    const expected = {
      sourceHostId: hostIdOf('bob'),
      departing: { plugged: [], startedBy: 'boot' as const },
      copied: [{ volumeId: rootId, isOnSameBase: true }],
    }
    const waits = host.room.expectArrival({ ...orderOf(host, 2), ...expected, machine: sampleOrder() })
    await host.clock.advance(200)
    await waits
    const take = (word: string, volumeId = rootId) =>
      keeperOf(host, 2).takeDiskStream({ callerId: hostIdOf(word), volumeId })
    await assert.rejects(take('eve'), /no disk of web is expected/)
    const stream = await take('bob')
    stream.write('content\n')
    await host.clock.advance(10)
    assert.equal([...host.world.files.values()].includes('content'), true)
    await assert.rejects(take('bob'), /no disk of web is expected/)
  })
})

describe('a disk that goes to another storage', () => {
  const wish = { volumeId: rootId, toStorageId: to }

  /** Stands still with both the same. */
  async function hold(): Promise<MachineHost> {
    const host = await startRunning()
    await keeperOf(host, 1).mirrorVolume({ ...wish, isOnSameBase: true })
    await host.clock.advance(100)
    const holding = keeperOf(host, 1).holdVolume(wish)
    await host.clock.advance(100)
    await holding
    return host
  }

  test('is written down before its machine stands still for it, and no licence lets it run', async () => {
    const host = await hold()
    await host.pass(2_000)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['paused', 'frozen'])
    assert.equal(host.records.get(webId)?.handedOverTo, to)
  })

  test('is its machine’s by the leader’s word, after a restart of the agent, too', async () => {
    const host = await hold()
    await host.restartAgent()
    host.renewLease()
    await host.pass(1_000)
    assert.equal(host.living()?.state, 'paused')
    host.renewLease()
    await keeperOf(host, 1).switchVolume(wish)
    await keeperOf(host, 1).switchVolume(wish)
    await host.clock.advance(100)
    assert.deepEqual([host.living()?.state, host.report()?.phase], ['running', 'running'])
    assert.match(host.living()?.layers.get(rootId)?.[0] ?? '', /^\/other\//)
    const { machine, handedOverTo } = host.records.get(webId) ?? {}
    assert.deepEqual([machine?.disks[0]?.storageId, handedOverTo], [to, null])
  })

  test('stays by the leader’s word, and the machine goes on', async () => {
    const host = await hold()
    host.renewLease()
    await keeperOf(host, 1).keepVolume(wish)
    assert.equal(host.living()?.state, 'running')
    assert.notEqual(host.records.get(webId)?.machine.disks[0]?.storageId, to)
    assert.doesNotMatch(host.living()?.layers.get(rootId)?.[0] ?? '', /^\/other\//)
  })

  for (const word of ['switchVolume', 'keepVolume'] as const) {
    test(`of a machine that dies while it stands still is started with by that word only (${word})`, async () => {
      const host = await hold()
      host.kill()
      await host.pass(1_000)
      assert.equal(host.living(), undefined)
      host.renewLease()
      await keeperOf(host, 1)[word](wish)
      await host.pass(1_000)
      assert.equal(host.living()?.state, 'running')
      assert.equal(host.records.get(webId)?.machine.disks[0]?.storageId === to, word === 'switchVolume')
      assert.equal(host.living()?.layers.get(rootId)?.[0]?.startsWith('/other/'), word === 'switchVolume')
    })
  }

  test('takes no memory image along: a warm machine is captured anew, and recovers with its new disk', async () => {
    const host = await startReady({ ...warm, leased: true })
    const before = recoveryOf(host).image?.imageId
    assert.ok(before)
    host.renewLease()
    await keeperOf(host, 1).mirrorVolume({ ...wish, isOnSameBase: true })
    await host.clock.advance(100)
    const holding = keeperOf(host, 1).holdVolume(wish)
    await host.clock.advance(100)
    await holding
    await keeperOf(host, 1).switchVolume(wish)
    assert.deepEqual([recoveryOf(host).image, (await host.images.list()).length], [null, 0])
    host.renewLease()
    await host.clock.advance(2_000)
    const { image } = recoveryOf(host)
    assert.ok(image !== null && image.imageId !== before)
    host.renewLease()
    host.kill()
    await host.clock.advance(1_000)
    assert.match(host.living()?.layers.get(rootId)?.[0] ?? '', /^\/other\//)
  })

  test('is not copied while its machine is captured or leaves, and keeps it from both', async () => {
    const host = await startRunning()
    await keeperOf(host, 1).mirrorVolume({ ...wish, isOnSameBase: true })
    await assert.rejects(keeperOf(host, 1).prepareDeparture(), /in-use|a disk moved/)
    const other = await startRunning()
    await keeperOf(other, 1).prepareDeparture()
    await assert.rejects(keeperOf(other, 1).mirrorVolume({ ...wish, isOnSameBase: true }), /captured or moved/)
  })
})
