/** What every storage driver promises about the layers of a volume and the bases that are made from them. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type LayerId, layerIdSchema, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { failsWith, type StorageWorld } from './storage.contract.ts'
import type { LayerRequest, Storage, VolumeRequest } from './storage.ts'

const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')
const otherVolumeId = volumeIdSchema.parse('vol-bbbbbbbb')
const vmId = vmIdSchema.parse('vm-aaaaaaaa')
const written = layerIdSchema.parse('layer-aaaaaaaa')
const spare = layerIdSchema.parse('layer-bbbbbbbb')
const upper = layerIdSchema.parse('layer-cccccccc')

export function testLayers(driver: string, makeWorld: (t: TestContext) => Promise<StorageWorld>): void {
  const scenario = (statement: string, play: (world: StorageWorld, storage: Storage) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => {
      const world = await makeWorld(t)
      const storage = world.onHost('a')
      await storage.createVolume(volume(world))
      await play(world, storage)
    })
  }

  scenario(
    'a new layer waits beside the current one until it is used, and then every host opens it',
    async (world, a) => {
      const first = await a.openVolume(volumeId, 'qcow2', 20001)
      const added = await a.addLayer(volumeId, layer(world, written, null))
      assert.equal((await a.openVolume(volumeId, 'qcow2', 20001)).path, first.path)
      await a.useLayer(volumeId, written)
      assert.equal((await world.onHost('b').openVolume(volumeId, 'qcow2', 20001)).path, added.path)
      assert.equal(await world.onHost('b').layerPath(volumeId, written), added.path)
      assert.equal(await world.onHost('b').layerPath(volumeId, null), first.path)
      await a.useLayer(volumeId, null)
      assert.equal((await a.openVolume(volumeId, 'qcow2', 20001)).path, first.path)
    },
  )

  scenario('layers form a tree, of which one is current', async (world, a) => {
    await a.addLayer(volumeId, layer(world, written, null))
    await a.addLayer(volumeId, layer(world, spare, null))
    await a.addLayer(volumeId, layer(world, upper, written))
    await a.useLayer(volumeId, spare)
    assert.deepEqual(await tree(world.onHost('b')), [
      [null, undefined, false],
      [written, null, false],
      [spare, null, true],
      [upper, written, false],
    ])
  })

  scenario('a volume with layers is still the one that was made, and is deleted as a whole', async (world, a) => {
    await a.addLayer(volumeId, layer(world, written, null))
    await a.useLayer(volumeId, written)
    await a.createVolume(volume(world))
    await assert.rejects(a.createVolume({ ...volume(world), sizeMiB: 256 }), failsWith('wrong-state'))
    assert.deepEqual(await a.listVolumes(), [volumeId])
    await a.deleteVolume(volumeId)
    await a.createVolume(volume(world))
    assert.deepEqual(await tree(a), [[null, undefined, true]])
  })

  scenario('a volume with an open layer is not deleted', async (world, a) => {
    await a.addLayer(volumeId, layer(world, written, null))
    const close = await world.holdOpen('a', volumeId, written)
    await assert.rejects(a.deleteVolume(volumeId), failsWith('in-use'))
    await close()
    await a.deleteVolume(volumeId)
  })

  scenario('making and using the same layer again is fine, another one under its id is refused', async (world, a) => {
    await a.addLayer(volumeId, layer(world, written, null))
    await a.addLayer(volumeId, layer(world, written, null))
    await a.useLayer(volumeId, written)
    await a.useLayer(volumeId, written)
    await a.addLayer(volumeId, layer(world, written, null))
    await a.addLayer(volumeId, layer(world, spare, null))
    await assert.rejects(a.addLayer(volumeId, layer(world, spare, written)), failsWith('wrong-state'))
    assert.equal((await a.listLayers(volumeId)).length, 3)
  })

  scenario('layers of what is missing are refused, and of a raw volume', async (world, a) => {
    await assert.rejects(a.addLayer(volumeId, layer(world, written, spare)), failsWith('not-found'))
    await assert.rejects(a.useLayer(volumeId, written), failsWith('not-found'))
    await assert.rejects(a.layerPath(volumeId, written), failsWith('not-found'))
    await assert.rejects(a.layerMerged(volumeId, written, null), failsWith('not-found'))
    await assert.rejects(a.listLayers(otherVolumeId), failsWith('not-found'))
    await assert.rejects(a.addLayer(otherVolumeId, layer(world, written, null)), failsWith('not-found'))
    const { cgroupDirectory } = world
    await a.createVolume({ volumeId: otherVolumeId, format: 'raw', sizeMiB: 1, cgroupDirectory })
    await assert.rejects(a.addLayer(otherVolumeId, layer(world, written, null)), failsWith('invalid-input'))
  })

  scenario(
    'a recovery claims the volume and returns to the frozen layer; the replaced one goes later',
    async (world, a) => {
      await a.claimVolume(volumeId, { hostName: 'a', life: { vmId, epoch: 3, incarnation: 0 } })
      await a.addLayer(volumeId, layer(world, written, null))
      await a.useLayer(volumeId, written)
      const { path } = await a.addLayer(volumeId, layer(world, spare, null))
      await a.claimVolume(volumeId, { hostName: 'a', life: { vmId, epoch: 3, incarnation: 1 } })
      await a.useLayer(volumeId, spare)
      assert.equal((await a.openVolume(volumeId, 'qcow2', 20001)).path, path)
      await a.removeLayer(volumeId, written)
      assert.deepEqual(await tree(a), [
        [null, undefined, false],
        [spare, null, true],
      ])
    },
  )

  scenario('a layer that was current is known as replaced from then on, to every host', async (world, a) => {
    await a.addLayer(volumeId, layer(world, written, null))
    await a.useLayer(volumeId, written)
    await a.addLayer(volumeId, layer(world, upper, written))
    await a.useLayer(volumeId, upper)
    assert.deepEqual(await replacedOn(a), [], 'the next one lies on it')
    await a.addLayer(volumeId, layer(world, spare, null))
    await a.useLayer(volumeId, spare)
    assert.deepEqual(await replacedOn(world.onHost('b')), [upper])
    await a.useLayer(volumeId, upper)
    assert.deepEqual(await replacedOn(a), [spare], 'what is used again is not replaced')
    await a.removeLayer(volumeId, spare)
    assert.deepEqual(await replacedOn(a), [])
  })

  scenario(
    'a layer that is current, under another one or open is not removed; a missing one is fine',
    async (world, a) => {
      await a.addLayer(volumeId, layer(world, written, null))
      await a.addLayer(volumeId, layer(world, upper, written))
      await assert.rejects(a.removeLayer(volumeId, written), failsWith('in-use', /lies on it/))
      await a.useLayer(volumeId, upper)
      await assert.rejects(a.removeLayer(volumeId, upper), failsWith('in-use', /current/))
      await a.useLayer(volumeId, null)
      const close = await world.holdOpen('a', volumeId, upper)
      await assert.rejects(a.removeLayer(volumeId, upper), failsWith('in-use', /open/))
      await close()
      await a.removeLayer(volumeId, upper)
      await a.removeLayer(volumeId, upper)
      await a.removeLayer(volumeId, written)
      await a.removeLayer(otherVolumeId, written)
      assert.deepEqual(await tree(a), [[null, undefined, true]])
    },
  )

  scenario('what was merged lies deeper, and what was between can go', async (world, a) => {
    const middle = layerIdSchema.parse('layer-dddddddd')
    await a.addLayer(volumeId, layer(world, written, null))
    await a.addLayer(volumeId, layer(world, middle, written))
    await a.addLayer(volumeId, layer(world, upper, middle))
    await assert.rejects(a.layerMerged(volumeId, upper, spare), failsWith('wrong-state'))
    await world.mergeInto(volumeId, upper, null)
    await a.layerMerged(volumeId, upper, null)
    await a.layerMerged(volumeId, upper, null)
    await a.removeLayer(volumeId, middle)
    await a.removeLayer(volumeId, written)
    assert.deepEqual(await tree(world.onHost('b')), [
      [null, undefined, true],
      [upper, null, false],
    ])
  })

  scenario('a chain grows to 48 files under the top, and every one of them is opened', async (world, a) => {
    let on: LayerId | null = null
    for (let index = 1; index < 48; index += 1) {
      const next = layerIdSchema.parse(`layer-${String(index).padStart(8, '0')}`)
      await a.addLayer(volumeId, layer(world, next, on))
      on = next
    }
    await a.useLayer(volumeId, on)
    await a.openVolume(volumeId, 'qcow2', 20001)
    await assert.rejects(a.addLayer(volumeId, layer(world, spare, on)), failsWith('wrong-state'))
  })

  scenario('a layer becomes a base that volumes are made from, also after its own volume is gone', async (world, a) => {
    const { cgroupDirectory } = world
    const base = { version: 'img-abcdefgh', path: undefined }
    const fromBase: VolumeRequest = { volumeId: otherVolumeId, format: 'qcow2', sizeMiB: 128, base, cgroupDirectory }
    await assert.rejects(a.createVolume(fromBase), failsWith('not-found'))
    await assert.rejects(
      a.publishBase(volumeId, written, { version: base.version, cgroupDirectory }),
      failsWith('not-found'),
    )
    await a.addLayer(volumeId, layer(world, written, null))
    await a.publishBase(volumeId, written, { version: base.version, cgroupDirectory })
    await a.publishBase(volumeId, written, { version: base.version, cgroupDirectory })
    await a.deleteVolume(volumeId)
    await world.onHost('b').createVolume(fromBase)
    await world.onHost('b').createVolume(fromBase)
    await a.openVolume(otherVolumeId, 'qcow2', 20001)
    await assert.rejects(a.removeBase(base.version), failsWith('in-use'))
    await assert.rejects(a.removeBase(world.base.version), failsWith('in-use'))
    await a.deleteVolume(otherVolumeId)
    await a.removeBase(base.version)
    await a.removeBase(base.version)
    await assert.rejects(a.createVolume(fromBase), failsWith('not-found'))
  })
}

function volume(world: StorageWorld): VolumeRequest {
  return { volumeId, format: 'qcow2', sizeMiB: 128, base: world.base, cgroupDirectory: world.cgroupDirectory }
}

function layer(world: StorageWorld, layerId: LayerId, on: LayerId | null): LayerRequest {
  return { layerId, on, userId: 20001, cgroupDirectory: world.cgroupDirectory }
}

async function tree(storage: Storage): Promise<readonly unknown[]> {
  return (await storage.listLayers(volumeId)).map(({ layerId, on, isCurrent }) => [layerId, on, isCurrent])
}

async function replacedOn(storage: Storage): Promise<readonly unknown[]> {
  return (await storage.listLayers(volumeId)).filter((each) => each.replacedAt !== null).map(({ layerId }) => layerId)
}
