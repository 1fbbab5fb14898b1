/** What every storage driver promises about volumes that begin as copies of others. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type LayerId, layerIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { planTidy } from './plan-tidy.ts'
import { failsWith, type StorageWorld } from './storage.contract.ts'
import type { Storage } from './storage.ts'

const originId = volumeIdSchema.parse('vol-aaaaaaaa')
const cloneId = volumeIdSchema.parse('vol-bbbbbbbb')
const one = layerIdSchema.parse('layer-aaaaaaaa')
const two = layerIdSchema.parse('layer-bbbbbbbb')
const own = layerIdSchema.parse('layer-cccccccc')

export function testClones(driver: string, makeWorld: (t: TestContext) => Promise<StorageWorld>): void {
  const scenario = (statement: string, play: (world: StorageWorld, storage: Storage) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => {
      const world = await makeWorld(t)
      const storage = world.onHost('a')
      const { cgroupDirectory, base } = world
      await storage.createVolume({ volumeId: originId, format: 'qcow2', sizeMiB: 64, base, cgroupDirectory })
      await grow(world, storage, { layerId: one, on: null })
      await grow(world, storage, { layerId: two, on: one })
      await play(world, storage)
    })
  }

  scenario('a linked volume is written to in a layer of its own, and every host sees it', async (world, a) => {
    await a.linkVolume(link(world))
    await a.linkVolume(link(world))
    const b = world.onHost('b')
    assert.deepEqual(await layersOf(b, cloneId), [
      { layerId: null, on: undefined, isShared: true },
      { layerId: one, on: null, isShared: true },
      { layerId: own, on: one, isShared: false },
    ])
    assert.equal((await b.openVolume(cloneId, 'qcow2', 20002)).path, await b.layerPath(cloneId, own))
    assert.equal((await a.openVolume(originId, 'qcow2', 20001)).path, await a.layerPath(originId, two))
  })

  scenario(
    'what two volumes have is written to by neither, merged into by neither, and stays in both',
    async (world, a) => {
      await a.linkVolume(link(world))
      for (const volumeId of [originId, cloneId]) {
        for (const layerId of [one, null]) await assert.rejects(a.useLayer(volumeId, layerId), failsWith('in-use'))
        assert.deepEqual(planTidy(await a.listLayers(volumeId)), { removals: [], merges: [] })
      }
    },
  )

  scenario('whichever of the two goes first, the other one keeps all that it has', async (world, a) => {
    await a.linkVolume(link(world))
    await a.deleteVolume(originId)
    await a.openVolume(cloneId, 'qcow2', 20002)
    assert.deepEqual(
      (await layersOf(a, cloneId)).map(({ layerId, isShared }) => [layerId, isShared]),
      [
        [null, false],
        [one, false],
        [own, false],
      ],
    )
    await a.linkVolume({
      ...link(world),
      volumeId: originId,
      overlay: two,
      from: { ...link(world).from, volumeId: cloneId },
    })
    await a.deleteVolume(originId)
    await a.openVolume(cloneId, 'qcow2', 20002)
    assert.equal((await layersOf(a, cloneId)).length, 3)
  })

  scenario(
    'what is still written to, or is not there, or has the name of another one, is not linked',
    async (world, a) => {
      const { from, ...rest } = link(world)
      await assert.rejects(a.linkVolume({ ...rest, from: { ...from, layerId: two } }), failsWith('wrong-state'))
      await assert.rejects(a.linkVolume({ ...rest, from: { ...from, layerId: own } }), failsWith('not-found'))
      await assert.rejects(a.linkVolume({ ...rest, from, volumeId: originId }), failsWith('wrong-state'))
      assert.deepEqual(await a.listVolumes(), [originId])
    },
  )

  scenario('a flattened volume stands alone, in one layer; called off, it is what it was', async (world, a) => {
    await a.linkVolume(link(world))
    const { cgroupDirectory } = world
    const how = { cgroupDirectory, begins: () => undefined, signal: AbortSignal.timeout(60_000) }
    await assert.rejects(a.flattenVolume(cloneId, { ...how, signal: AbortSignal.abort() }))
    assert.equal((await layersOf(a, cloneId)).length, 3)
    const close = await world.holdOpen('a', cloneId, own)
    await assert.rejects(a.flattenVolume(cloneId, how), failsWith('in-use'))
    await close()
    await assert.rejects(a.readVolume(cloneId), failsWith('wrong-state'))
    await a.flattenVolume(cloneId, how)
    await a.flattenVolume(cloneId, how)
    const { size, stream } = await a.readVolume(cloneId)
    assert.equal(
      (await stream.toArray()).reduce((sum: number, chunk: Buffer) => sum + chunk.length, 0),
      size,
    )
    const letIt = await world.holdOpen('a', cloneId, null)
    await assert.rejects(a.readVolume(cloneId), failsWith('in-use'))
    await letIt()
    assert.deepEqual(await layersOf(a, cloneId), [{ layerId: null, on: undefined, isShared: false }])
    await a.openVolume(cloneId, 'qcow2', 20002)
    assert.equal((await layersOf(a, originId)).length, 3)
  })
}

function link({ cgroupDirectory }: StorageWorld) {
  const from = { volumeId: originId, layerId: one, snapshotId: null }
  return { volumeId: cloneId, from, overlay: own, userId: 20002, cgroupDirectory }
}

async function grow(
  { cgroupDirectory }: StorageWorld,
  storage: Storage,
  layer: { readonly layerId: LayerId; readonly on: LayerId | null },
): Promise<void> {
  await storage.addLayer(originId, { ...layer, userId: 20001, cgroupDirectory })
  await storage.useLayer(originId, layer.layerId)
}

async function layersOf(storage: Storage, volumeId: typeof originId) {
  const layers = (await storage.listLayers(volumeId)).map(({ layerId, on, isShared }) => ({ layerId, on, isShared }))
  return layers.sort((left, right) => depth(left.on) - depth(right.on))
}

function depth(on: LayerId | null | undefined): number {
  return on === undefined ? 0 : on === null ? 1 : 2
}
