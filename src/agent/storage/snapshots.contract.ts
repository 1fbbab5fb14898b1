/** What every storage driver promises about snapshots and about the layers that they leave. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type LayerId, layerIdSchema, snapshotIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { planTidy } from './plan-tidy.ts'
import { makeSampleSnapshot, sampleSnapshotId as snapshotId } from './sample-snapshot.fixture.ts'
import { failsWith, type StorageWorld } from './storage.contract.ts'
import type { Storage } from './storage.ts'

const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')
const dataId = volumeIdSchema.parse('vol-bbbbbbbb')
const one = layerIdSchema.parse('layer-aaaaaaaa')
const two = layerIdSchema.parse('layer-bbbbbbbb')
const three = layerIdSchema.parse('layer-cccccccc')
const side = layerIdSchema.parse('layer-dddddddd')

export function testSnapshots(driver: string, makeWorld: (t: TestContext) => Promise<StorageWorld>): void {
  const scenario = (statement: string, play: (world: StorageWorld, storage: Storage) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => {
      const world = await makeWorld(t)
      const storage = world.onHost('a')
      for (const id of [volumeId, dataId]) {
        const { cgroupDirectory } = world
        await storage.createVolume({ volumeId: id, format: 'qcow2', sizeMiB: 8, cgroupDirectory })
      }
      await play(world, storage)
    })
  }

  scenario(
    'a snapshot is seen by every host, is stored once, and keeps its layers from being written to',
    async (world, a) => {
      await grow(world, a, [one, two])
      const snapshot = makeSampleSnapshot([{ volumeId, layerId: one }])
      await a.storeSnapshot(volumeId, snapshot)
      await a.storeSnapshot(volumeId, snapshot)
      assert.deepEqual(await world.onHost('b').listSnapshots(volumeId), [snapshot])
      await assert.rejects(a.storeSnapshot(volumeId, { ...snapshot, note: 'other' }), failsWith('wrong-state'))
      for (const layerId of [one, null]) await assert.rejects(a.useLayer(volumeId, layerId), failsWith('in-use'))
      assert.deepEqual(await needed(a), [one])
    },
  )

  scenario('a layer that is written to, or that is not there, is part of no snapshot', async (world, a) => {
    await grow(world, a, [one])
    for (const [layerId, code] of [
      [one, 'wrong-state'],
      [two, 'not-found'],
    ] as const)
      await assert.rejects(a.storeSnapshot(volumeId, makeSampleSnapshot([{ volumeId, layerId }])), failsWith(code))
    assert.deepEqual([await a.listSnapshots(volumeId), await needed(a)], [[], []])
    await a.useLayer(volumeId, null)
  })

  scenario(
    'snapshots are listed oldest first; a removed one needs nothing, and its layers are let go of',
    async (world, a) => {
      await grow(world, a, [one, two])
      const older = { id: snapshotIdSchema.parse('snap-zzzzzzzz'), takenAt: '2026-01-01T00:00:00.000Z' }
      await a.storeSnapshot(volumeId, makeSampleSnapshot([{ volumeId, layerId: one }]))
      await a.storeSnapshot(volumeId, makeSampleSnapshot([{ volumeId, layerId: null }], older))
      assert.deepEqual(
        (await a.listSnapshots(volumeId)).map(({ id }) => id),
        [older.id, snapshotId],
      )
      await a.removeSnapshot(volumeId, snapshotId)
      await a.removeSnapshot(volumeId, snapshotId)
      assert.deepEqual(await needed(a), [null])
      assert.deepEqual(await letGo(a), [one])
      assert.equal((await a.listLayers(volumeId)).length, 3)
    },
  )

  scenario('a snapshot of two disks keeps the layers of both', async (world, a) => {
    await grow(world, a, [one])
    await a.addLayer(dataId, layer(world, two, null))
    await a.useLayer(dataId, two)
    const disks = [
      { volumeId, layerId: null },
      { volumeId: dataId, layerId: null },
    ]
    await a.storeSnapshot(volumeId, makeSampleSnapshot(disks))
    for (const id of [volumeId, dataId]) await assert.rejects(a.useLayer(id, null), failsWith('in-use'))
    await a.removeSnapshot(volumeId, snapshotId)
    for (const id of [volumeId, dataId]) await a.useLayer(id, null)
  })

  scenario(
    'what firmware and TPM remember is kept for a snapshot, comes back with it, and goes with it',
    async (world, a) => {
      await grow(world, a, [one])
      await a.openGuestState(volumeId, { variables: world.base.path, hasTpm: true, userId: 20001 })
      await assert.rejects(a.restoreGuestState(volumeId, snapshotId), failsWith('not-found'))
      for (const word of ['too early', 'before']) {
        await world.writeGuestState(volumeId, word)
        await a.keepGuestState(volumeId, snapshotId)
      }
      await a.storeSnapshot(volumeId, makeSampleSnapshot([{ volumeId, layerId: null }]))
      await world.writeGuestState(volumeId, 'after')
      for (const host of ['a', 'b']) {
        await world.onHost(host).restoreGuestState(volumeId, snapshotId)
        assert.equal(await world.readGuestState(volumeId), 'before')
      }
      assert.equal((await a.listSnapshots(volumeId)).length, 1)
      await a.removeSnapshot(volumeId, snapshotId)
      await assert.rejects(a.restoreGuestState(volumeId, snapshotId), failsWith('not-found'))
      assert.equal(await world.readGuestState(volumeId), 'before')
    },
  )

  scenario('layers that are closed are merged; what was merged is let go of, and then goes', async (world, a) => {
    await grow(world, a, [one, two, three])
    const { cgroupDirectory } = world
    const merge = { into: three, on: null, cgroupDirectory }
    const close = await world.holdOpen('a', volumeId, three)
    await assert.rejects(a.mergeClosedLayers(volumeId, merge), failsWith('in-use'))
    await close()
    await a.mergeClosedLayers(volumeId, merge)
    await a.mergeClosedLayers(volumeId, merge)
    await a.openVolume(volumeId, 'qcow2', 20001)
    assert.deepEqual(
      (await letGo(a)).toSorted((left, right) => left?.localeCompare(right ?? '') ?? 0),
      [one, two],
    )
    await assert.rejects(a.mergeClosedLayers(volumeId, { ...merge, on: two }), failsWith('wrong-state'))
    await tidy(a)
    assert.deepEqual(await tree(a), [
      [null, undefined],
      [three, null],
    ])
  })

  scenario(
    'what nothing needs goes from the leaves down; what a process waits with is left alone',
    async (world, a) => {
      await grow(world, a, [one, two])
      await a.addLayer(volumeId, layer(world, side, one))
      await a.addLayer(volumeId, layer(world, three, null))
      await a.useLayer(volumeId, three)
      await a.removeLayer(volumeId, two)
      await tidy(a)
      assert.deepEqual(await tree(a), [
        [null, undefined],
        [one, null],
        [three, null],
        [side, one],
      ])
      await a.removeLayer(volumeId, side)
      await tidy(a)
      assert.deepEqual(await tree(a), [
        [null, undefined],
        [three, null],
      ])
    },
  )
}

/** Each on the one before it; the last one is current. */
async function grow(world: StorageWorld, storage: Storage, layerIds: readonly LayerId[]): Promise<void> {
  let on: LayerId | null = null
  for (const layerId of layerIds) {
    await storage.addLayer(volumeId, layer(world, layerId, on))
    await storage.useLayer(volumeId, layerId)
    on = layerId
  }
}

async function tidy(storage: Storage): Promise<void> {
  for (;;) {
    const { removals } = planTidy(await storage.listLayers(volumeId))
    if (removals.length === 0) return
    for (const layerId of removals) await storage.removeLayer(volumeId, layerId)
  }
}

function layer({ cgroupDirectory }: StorageWorld, layerId: LayerId, on: LayerId | null) {
  return { layerId, on, userId: 20001, cgroupDirectory }
}

async function needed(storage: Storage) {
  return (await storage.listLayers(volumeId)).flatMap(({ layerId, isNeeded }) => (isNeeded ? [layerId] : []))
}

async function letGo(storage: Storage) {
  return (await storage.listLayers(volumeId)).flatMap(({ layerId, isLetGo }) => (isLetGo ? [layerId] : []))
}

async function tree(storage: Storage) {
  const layers = await storage.listLayers(volumeId)
  return layers.map(({ layerId, on }) => [layerId, on]).sort((left, right) => String(left).localeCompare(String(right)))
}
