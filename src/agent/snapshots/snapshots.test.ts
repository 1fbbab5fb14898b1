import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { guestProfiles } from '../../model/guest.ts'
import { type LayerId, type SnapshotId, snapshotIdSchema, taskIdSchema, type VolumeId } from '../../model/ids.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { Snapshot, SnapshotWish } from '../../model/snapshots/snapshot.ts'
import { dataId, type MachineHost, rootId } from '../machines/machine-host.fixture.ts'
import {
  chainOf,
  currentLayer,
  data,
  failWhen,
  journalOf,
  keeperOf,
  layerCount,
  leftOvers,
  probe,
  recoveryOf,
  replacedLayers,
  root,
  startReady,
  warm,
  writtenPath,
} from '../recovery/recovering-machine.fixture.ts'
import { failsWith } from '../storage/storage.contract.ts'

const plain = { leased: false, recovery: { mode: 'boot' }, probe } as const satisfies Partial<MachineOrder>
const twoDisks = { ...plain, disks: [root, data] } as const satisfies Partial<MachineOrder>
const withTpm = { os: 'linux', ...guestProfiles.linux, tpm: true } as const
const snap = (word: string): SnapshotId => snapshotIdSchema.parse(`snap-${word.repeat(8)}`)
const revertTask = (word: string) => taskIdSchema.parse(`task-${word.repeat(8)}`)

function wish(changes: Partial<SnapshotWish> = {}): SnapshotWish {
  return {
    ...{ id: snap('a'), name: 'before', note: '', kind: 'memory', parentId: null, origin: 'user', setId: null },
    ...{ isProtected: false, sizesMiB: [64, 64], freeze: 'if-able', ...changes },
  }
}

async function take(host: MachineHost, changes: Partial<SnapshotWish> = {}): Promise<Snapshot> {
  let report = keeperOf(host).takeSnapshot(wish(changes), 100)
  for (let asked = 0; asked < 100; asked += 1) {
    await host.clock.advance(200)
    const { snapshot } = await report
    if (snapshot !== null) return snapshot
    report = keeperOf(host).takeSnapshot(wish(changes), 100)
  }
  return assert.fail('the snapshot did not end')
}

async function revert(host: MachineHost, snapshot: Snapshot, word = 'r') {
  const wishes = { taskId: revertTask(word), snapshot, isPlanned: true }
  const reverting = keeperOf(host).revert(wishes)
  await host.clock.advance(3_000)
  return reverting
}

/** No layer of this disk is made current any more that lies on this one. */
function refuseLayer({ storage }: MachineHost, volumeId: VolumeId, on: LayerId | null): void {
  const { useLayer } = storage
  storage.useLayer = async (id, layerId) => {
    const layer = (await storage.listLayers(id)).find((each) => each.layerId === layerId)
    if (id === volumeId && layer !== undefined && layer.on === on && !layer.isCurrent)
      throw new DialtoneError('storage-failed', 'refused')
    await useLayer(id, layerId)
  }
}

const remember = (host: MachineHost, letter: string) => {
  const machine = host.living()
  assert.ok(machine)
  machine.memory = letter
}

describe('a snapshot of a machine that runs', () => {
  test('with memory lets it run on, is beside its disk, and is the same one when it is asked for again', async () => {
    const host = await startReady(twoDisks)
    const pid = host.living()?.pid
    const snapshot = await take(host)
    assert.deepEqual([snapshot.kind, snapshot.consistency, snapshot.wasRunning], ['memory', 'memory', true])
    assert.deepEqual(
      snapshot.disks.map(({ volumeId, layerId }) => [volumeId, layerId]),
      [
        [rootId, null],
        [dataId, null],
      ],
    )
    assert.deepEqual([host.living()?.pid, host.living()?.state], [pid, 'running'])
    assert.deepEqual(await host.storage.listSnapshots(rootId), [snapshot])
    assert.deepEqual(await take(host), snapshot)
    assert.equal((await host.storage.listImages(rootId)).length, 1)
    for (const volumeId of [rootId, dataId])
      await assert.rejects(host.storage.useLayer(volumeId, null), failsWith('in-use'))
  })

  test('of its disks puts the guest’s file systems in order when it can, and says when it could not', async () => {
    const host = await startReady(twoDisks)
    const orders: string[] = []
    const { guests } = host.world
    host.world.guests = { ...guests, fileSystems: (_machine, what) => Math.min(1, orders.push(what)) }
    assert.equal((await take(host, { kind: 'disk' })).consistency, 'guest-frozen')
    assert.deepEqual(orders, ['thaw', 'freeze', 'thaw'])
    host.world.guests = { ...guests, fileSystems: () => 'silent' }
    assert.equal((await take(host, { kind: 'disk', id: snap('b') })).consistency, 'crash')
    const required = keeperOf(host).takeSnapshot(wish({ kind: 'disk', id: snap('c'), freeze: 'required' }), 60_000)
    required.catch(() => undefined)
    await host.clock.advance(30_000)
    await assert.rejects(required, failsWith('guest-silent'))
    assert.equal((await host.storage.listSnapshots(rootId)).length, 2)
    assert.equal((await take(host, { kind: 'disk', id: snap('d'), freeze: 'never' })).consistency, 'crash')
  })

  test('whose guest never lets its file systems go on fails within bounds and says what to do', async () => {
    const host = await startReady(plain)
    const { guests } = host.world
    let isFrozen = false
    const fileSystems = (_machine: unknown, what: 'freeze' | 'thaw') => {
      if (what === 'freeze') isFrozen = true
      return what === 'thaw' && isFrozen ? 'silent' : 1
    }
    host.world.guests = { ...guests, fileSystems }
    const taking = keeperOf(host).takeSnapshot(wish({ kind: 'disk' }), 60_000)
    taking.catch(() => undefined)
    await host.clock.advance(30_000)
    await assert.rejects(taking, failsWith('guest-silent', /vm reset/))
    assert.equal(host.living()?.state, 'running')
    assert.deepEqual(await host.storage.listSnapshots(rootId), [])
  })

  test('of its disks takes along what firmware and TPM remember, of an instant in which nothing is written', async () => {
    const host = await startReady({ ...plain, guest: withTpm })
    host.storageWorld.writeGuestState(rootId, 'before')
    let stateThen = ''
    failWhen(host, (order) => {
      if (order.kind === 'add-overlays') stateThen = host.living()?.state ?? ''
      return false
    })
    const snapshot = await take(host, { kind: 'disk' })
    assert.deepEqual([stateThen, host.living()?.state], ['paused', 'running'])
    host.storageWorld.writeGuestState(rootId, 'after')
    await revert(host, snapshot)
    assert.equal(host.storageWorld.readGuestState(rootId), 'before')
    await assert.rejects(keeperOf(host).takeSnapshot(wish({ id: snap('b') }), 1_000), failsWith('image-unfit', /TPM/))
    assert.equal(host.living()?.state, 'running')
  })

  for (const kind of ['capture', 'add-overlays', 'write-stream', 'bake'] as const) {
    test(`that breaks off at ${kind} leaves the machine running and nothing of itself`, async () => {
      const host = await startReady(twoDisks)
      failWhen(host, (order) => order.kind === kind)
      const taking = keeperOf(host).takeSnapshot(wish({ kind: kind === 'add-overlays' ? 'disk' : 'memory' }), 5_000)
      taking.catch(() => undefined)
      await host.clock.advance(6_000)
      await assert.rejects(taking, failsWith('hypervisor-failed'))
      failWhen(host, () => false)
      assert.equal(host.living()?.state, 'running')
      assert.deepEqual([await host.storage.listSnapshots(rootId), await host.storage.listImages(rootId)], [[], []])
      await keeperOf(host).tidy({ waitMs: 1_000, isCalledOff: false })
      assert.ok((await layerCount(host)) <= 2)
      assert.equal(await currentLayer(host), (await chainOf(host))[0])
      assert.equal(writtenPath(host), await host.storage.layerPath(rootId, (await currentLayer(host)) ?? null))
      await take(host, { id: snap('b') })
      assert.deepEqual(await leftOvers(host), [])
    })
  }

  test('is begun anew by the next agent when this one dies in the middle', async () => {
    const host = await startReady(twoDisks)
    void keeperOf(host)
      .takeSnapshot(wish(), 10_000)
      .catch(() => undefined)
    await host.restartAgent()
    await host.clock.advance(1_000)
    const snapshot = await take(host)
    assert.deepEqual(await host.storage.listSnapshots(rootId), [snapshot])
    assert.equal(host.living()?.state, 'running')
  })
})

describe('a return to a snapshot', () => {
  test('with memory goes on from that instant, on disks of that instant, and keeps what was there', async () => {
    const host = await startReady(twoDisks)
    remember(host, 'x')
    const snapshot = await take(host)
    const present = await currentLayer(host)
    remember(host, 'y')
    assert.deepEqual(await revert(host, snapshot), { how: 'resumed', detail: '' })
    assert.equal(host.living()?.memory, 'x')
    assert.equal((await chainOf(host))[1], snapshot.disks[0]?.layerId)
    assert.deepEqual(await replacedLayers(host), [present])
    assert.equal(host.report()?.phase, 'running')
    assert.equal(host.report()?.epoch, 1)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('of its disks boots on them', async () => {
    const host = await startReady(twoDisks)
    const snapshot = await take(host, { kind: 'disk' })
    remember(host, 'y')
    assert.deepEqual(await revert(host, snapshot), { how: 'booted', detail: '' })
    assert.equal(host.living()?.memory, '-')
    assert.equal((await chainOf(host))[1], snapshot.disks[0]?.layerId)
    assert.equal(host.report()?.phase, 'running')
  })

  test('that is ordered again is done once', async () => {
    const host = await startReady(twoDisks)
    const snapshot = await take(host)
    await revert(host, snapshot)
    const pid = host.living()?.pid
    await revert(host, snapshot)
    assert.equal(host.living()?.pid, pid)
    await revert(host, snapshot, 's')
    assert.notEqual(host.living()?.pid, pid)
  })

  test('whose image is damaged boots on the disks of that instant and says why', async () => {
    const host = await startReady(twoDisks)
    const snapshot = await take(host)
    for (const { id } of await host.storage.listImages(rootId)) await host.storage.removeImage(rootId, id)
    const reverted = await revert(host, snapshot)
    assert.equal(reverted.how, 'booted')
    assert.match(reverted.detail, /damaged or gone/)
    assert.equal((await chainOf(host))[1], snapshot.disks[0]?.layerId)
  })

  test('ends the images of the present that it gave up: no recovery brings that back', async () => {
    const host = await startReady({ ...warm, disks: [root, data] })
    remember(host, 'x')
    const snapshot = await take(host)
    const image = recoveryOf(host).image?.imageId
    remember(host, 'y')
    await revert(host, snapshot)
    await host.clock.advance(20_000)
    assert.ok(recoveryOf(host).image)
    assert.notEqual(recoveryOf(host).image?.imageId, image)
    await host.crash()
    await host.clock.advance(10_000)
    assert.equal(host.living()?.memory, 'x')
    assert.equal((await host.storage.listSnapshots(rootId)).length, 1)
  })

  test('that breaks off ends on the present, with all of its disks, and the machine is brought back', async () => {
    const host = await startReady(twoDisks)
    const snapshot = await take(host, { kind: 'disk' })
    const present = [await currentLayer(host), await currentLayer(host, dataId)]
    refuseLayer(host, dataId, snapshot.disks[1]?.layerId ?? null)
    const reverting = keeperOf(host).revert({ taskId: revertTask('r'), snapshot, isPlanned: true })
    reverting.catch(() => undefined)
    await host.clock.advance(30_000)
    assert.deepEqual([await currentLayer(host), await currentLayer(host, dataId)], present)
    assert.equal(host.living()?.state, 'running')
    assert.equal(host.report()?.phase, 'running')
    await host.clock.advance(120_000)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('that ends an outage tells when that was found, so that the ledger has it; one that its owner wants does not', async () => {
    const host = await startReady(twoDisks)
    const snapshot = await take(host)
    await revert(host, snapshot)
    assert.deepEqual(journalOf(host, 'failure-detected'), [])
    const forced = keeperOf(host).revert({ taskId: revertTask('s'), snapshot, isPlanned: false })
    await host.clock.advance(3_000)
    await forced
    assert.deepEqual(
      journalOf(host, 'failure-detected').map(({ cause }) => cause),
      ['wrong-answers'],
    )
    assert.deepEqual(journalOf(host, 'rung-begun'), [])
  })

  test('in which the agent dies leaves a machine that the next one brings back, and may be ordered again', async () => {
    const host = await startReady(twoDisks)
    const snapshot = await take(host)
    void keeperOf(host)
      .revert({ taskId: revertTask('r'), snapshot, isPlanned: true })
      .catch(() => undefined)
    await host.clock.advance(5)
    await host.restartAgent()
    await host.clock.advance(5_000)
    assert.equal(host.living()?.state, 'running')
    await revert(host, snapshot)
    assert.equal((await chainOf(host))[1], snapshot.disks[0]?.layerId)
    assert.equal(host.living()?.state, 'running')
  })
})

describe('snapshots that are let go', () => {
  test('in any order, while the machine runs, leave no more layers than are needed', async () => {
    const host = await startReady(twoDisks)
    const taken: Snapshot[] = []
    for (const word of ['a', 'b', 'c', 'd', 'e']) taken.push(await take(host, { id: snap(word), kind: 'disk' }))
    for (const index of [2, 0, 4, 1, 3]) {
      const snapshot = taken[index]
      assert.ok(snapshot)
      await host.storage.removeSnapshot(rootId, snapshot.id)
      const tidying = keeperOf(host).tidy({ waitMs: 5_000, isCalledOff: false })
      await host.clock.advance(6_000)
      assert.equal((await tidying).isDone, true)
      const left = await host.storage.listSnapshots(rootId)
      // The first one and what is written stay anyhow.
      assert.equal(await layerCount(host), 2 + left.filter(({ disks }) => disks[0]?.layerId !== null).length)
    }
    assert.equal(await layerCount(host), 2)
    assert.deepEqual(await leftOvers(host), [])
  })

  test('are merged by the next agent when this one dies in the middle of it, and when the machine does', async () => {
    const host = await startReady({ ...twoDisks, disks: [root] }, ({ world }) => {
      Object.assign(world.options, { mergeMs: 2_000 })
    })
    for (const word of ['a', 'b']) await take(host, { id: snap(word), kind: 'disk' })
    for (const word of ['a', 'b']) await host.storage.removeSnapshot(rootId, snap(word))
    void keeperOf(host).tidy({ waitMs: 100, isCalledOff: false })
    await host.clock.advance(500)
    await host.restartAgent()
    await host.clock.advance(1_000)
    await host.crash()
    await host.clock.advance(120_000)
    assert.equal(await layerCount(host), 2)
    assert.equal(host.living()?.state, 'running')
  })
})

describe('several machines at one instant', () => {
  test('a machine that is held stands still until its snapshot is taken, and never for longer than was said', async () => {
    const host = await startReady(twoDisks)
    assert.equal(await keeperOf(host).hold(1_000), true)
    assert.equal(host.living()?.state, 'paused')
    await take(host, { setId: 'set-1', kind: 'disk' })
    assert.equal(host.living()?.state, 'running')
    await keeperOf(host).hold(500)
    await host.clock.advance(600)
    assert.equal(host.living()?.state, 'running')
    const late = keeperOf(host).takeSnapshot(wish({ id: snap('b'), setId: 'set-1' }), 1_000)
    late.catch(() => undefined)
    await host.clock.advance(1_500)
    await assert.rejects(late, failsWith('wrong-state', /held still/))
  })
})
