/** What every storage driver promises about memory images beside a root volume. */
import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { imageIdSchema, layerIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { imageFileNames } from '../../model/recovery/memory-image.ts'
import { sampleImageId as imageId, makeSampleImage } from './sample-image.fixture.ts'
import { failsWith, type StorageWorld } from './storage.contract.ts'
import type { Storage } from './storage.ts'

const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')
const otherVolumeId = volumeIdSchema.parse('vol-bbbbbbbb')
const written = layerIdSchema.parse('layer-aaaaaaaa')
const frozenRoot = [{ volumeId, layerId: null }] as const

export function testImages(driver: string, makeWorld: (t: TestContext) => Promise<StorageWorld>): void {
  const scenario = (statement: string, play: (world: StorageWorld, storage: Storage) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => {
      const world = await makeWorld(t)
      const storage = world.onHost('a')
      await freezeFirstLayer(world, storage)
      await play(world, storage)
    })
  }

  scenario('an image that one host stored is fetched on another, to the byte', async (world, a) => {
    const { manifest, files } = await makeSampleImage(world.outside, frozenRoot)
    assert.deepEqual(await a.listImages(volumeId), [])
    await a.storeImage(manifest, files)
    await a.storeImage(manifest, files)
    assert.deepEqual(await world.onHost('b').listImages(volumeId), [manifest])
    const into = placesIn(world)
    for (const round of ['first', 'repeated']) {
      assert.deepEqual(await world.onHost('b').fetchImage(volumeId, imageId, into), manifest, round)
      for (const name of imageFileNames) assert.deepEqual(await readFile(into[name]), await readFile(files[name]))
    }
  })

  scenario('images are listed oldest first, and a removed one is gone while its layers stay', async (world, a) => {
    const newer = { id: imageIdSchema.parse('img-00000000'), capturedAt: '2026-02-02T00:00:00.000Z' }
    const images = [
      await makeSampleImage(world.outside, frozenRoot, newer),
      await makeSampleImage(world.outside, frozenRoot),
    ]
    for (const { manifest, files } of images) await a.storeImage(manifest, files)
    assert.deepEqual(
      (await a.listImages(volumeId)).map(({ id }) => id),
      [imageId, newer.id],
    )
    await a.removeImage(volumeId, imageId)
    await a.removeImage(volumeId, imageId)
    await a.removeImage(otherVolumeId, imageId)
    assert.deepEqual(
      (await a.listImages(volumeId)).map(({ id }) => id),
      [newer.id],
    )
    assert.equal((await a.listLayers(volumeId)).length, 2)
    await assert.rejects(a.fetchImage(volumeId, imageId, placesIn(world)), failsWith('not-found'))
  })

  scenario('another image under the same id is refused', async (world, a) => {
    const { manifest, files } = await makeSampleImage(world.outside, frozenRoot)
    await a.storeImage(manifest, files)
    await assert.rejects(a.storeImage({ ...manifest, cpus: 2 }, files), failsWith('wrong-state'))
  })

  scenario('nothing writes to a layer that an image needs, and it is not removed', async (world, a) => {
    await a.addLayer(volumeId, { ...layerOn(world), layerId: written, on: null })
    const frozen = layerIdSchema.parse('layer-bbbbbbbb')
    await a.addLayer(volumeId, { ...layerOn(world), layerId: frozen, on: null })
    const { manifest, files } = await makeSampleImage(world.outside, [{ volumeId, layerId: frozen }])
    await a.storeImage(manifest, files)
    await assert.rejects(a.useLayer(volumeId, frozen), failsWith('in-use', /needs/))
    await assert.rejects(a.useLayer(volumeId, null), failsWith('in-use', /needs/))
    await assert.rejects(world.onHost('b').removeLayer(volumeId, frozen), failsWith('in-use', /needs it/))
    await a.removeImage(volumeId, imageId)
    await a.removeLayer(volumeId, frozen)
  })

  scenario('the layers of other volumes in an image are kept as well', async (world, a) => {
    const { cgroupDirectory } = world
    await a.createVolume({ volumeId: otherVolumeId, format: 'qcow2', sizeMiB: 8, cgroupDirectory })
    await a.addLayer(otherVolumeId, { ...layerOn(world), layerId: written, on: null })
    const { manifest, files } = await makeSampleImage(world.outside, [
      ...frozenRoot,
      { volumeId: otherVolumeId, layerId: written },
    ])
    await a.storeImage(manifest, files)
    await assert.rejects(a.removeLayer(otherVolumeId, written), failsWith('in-use', /needs it/))
    assert.deepEqual(await a.listImages(otherVolumeId), [])
    await a.removeImage(volumeId, imageId)
    await a.removeLayer(otherVolumeId, written)
  })

  scenario('an image whose layer is still written to, or is missing, is refused', async (world, a) => {
    const { manifest, files } = await makeSampleImage(world.outside, frozenRoot)
    await a.useLayer(volumeId, null)
    await assert.rejects(a.storeImage(manifest, files), failsWith('wrong-state', /writes to/))
    const disks = [{ volumeId, layerId: layerIdSchema.parse('layer-zzzzzzzz') }]
    await assert.rejects(a.storeImage({ ...manifest, disks }, files), failsWith('not-found'))
    await assert.rejects(
      a.storeImage({ ...manifest, disks: [{ volumeId: otherVolumeId, layerId: null }] }, files),
      failsWith('not-found'),
    )
    assert.deepEqual(await a.listImages(volumeId), [])
  })

  scenario('files that are not what the manifest says are not stored', async (world, a) => {
    const { manifest, files } = await makeSampleImage(world.outside, frozenRoot)
    const whole = await readFile(files.memory)
    for (const content of [whole.subarray(1), altered(whole)]) {
      await writeFile(files.memory, content)
      await assert.rejects(a.storeImage(manifest, files), failsWith('image-corrupt', /memory/))
    }
    await assert.rejects(a.storeImage(manifest, { ...files, memory: '/nowhere' }), failsWith('image-corrupt'))
    assert.deepEqual(await a.listImages(volumeId), [])
    await a.useLayer(volumeId, null)
  })

  scenario(
    'a truncated, altered or incomplete image is refused and leaves nothing; storing it again cures it',
    async (world, a) => {
      const { manifest, files } = await makeSampleImage(world.outside, frozenRoot)
      const into = placesIn(world)
      for (const name of imageFileNames) {
        for (const change of [altered, (content: Uint8Array) => content.subarray(1), () => undefined]) {
          await a.storeImage(manifest, files)
          await world.damageImage({ volumeId, imageId, name }, change)
          await assert.rejects(a.fetchImage(volumeId, imageId, into), failsWith('image-corrupt'))
          for (const path of Object.values(into)) await assert.rejects(stat(path))
          assert.deepEqual(await a.listImages(volumeId), change === altered ? [manifest] : [])
          if (change === altered) await a.removeImage(volumeId, imageId)
          await a.storeImage(manifest, files)
          await a.fetchImage(volumeId, imageId, into)
        }
      }
    },
  )

  scenario('a deleted volume takes its images along', async (world, a) => {
    const { manifest, files } = await makeSampleImage(world.outside, frozenRoot)
    await a.storeImage(manifest, files)
    await a.deleteVolume(volumeId)
    assert.deepEqual(await a.listImages(volumeId), [])
    await freezeFirstLayer(world, a)
    await a.useLayer(volumeId, null)
  })
}

/** A volume whose machine writes to an overlay of its first layer. */
async function freezeFirstLayer(world: StorageWorld, storage: Storage): Promise<void> {
  const { base, cgroupDirectory } = world
  await storage.createVolume({ volumeId, format: 'qcow2', sizeMiB: 128, base, cgroupDirectory })
  await storage.addLayer(volumeId, { ...layerOn(world), layerId: written, on: null })
  await storage.useLayer(volumeId, written)
}

function layerOn({ cgroupDirectory }: StorageWorld) {
  return { userId: 20001, cgroupDirectory }
}

function placesIn({ outside }: StorageWorld) {
  return { memory: join(outside, 'fetched-memory'), state: join(outside, 'fetched-state') }
}

function altered(content: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(content)
  changed[0] = (changed[0] ?? 0) ^ 1
  return changed
}
