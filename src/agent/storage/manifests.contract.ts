/** What every storage driver promises about the manifests of machines. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { volumeIdSchema } from '../../model/ids.ts'
import { makeManifest } from '../../model/rebuild/sample-manifest.fixture.ts'
import { failsWith, type StorageWorld } from './storage.contract.ts'
import type { Storage } from './storage.ts'

const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')

export function testManifests(driver: string, makeWorld: (t: TestContext) => Promise<StorageWorld>): void {
  const scenario = (statement: string, play: (world: StorageWorld, storage: Storage) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => {
      const world = await makeWorld(t)
      const storage = world.onHost('a')
      const { cgroupDirectory } = world
      await storage.createVolume({ volumeId, format: 'qcow2', sizeMiB: 8, cgroupDirectory })
      await play(world, storage)
    })
  }

  scenario('a manifest is read as it was written, by every host, and goes with its volume', async (world, a) => {
    const b = world.onHost('b')
    assert.equal(await b.readManifest(volumeId), undefined)
    const manifest = makeManifest('web')
    assert.deepEqual(await a.writeManifest(volumeId, manifest), manifest.version)
    assert.deepEqual(await a.writeManifest(volumeId, manifest), manifest.version)
    assert.deepEqual(await b.readManifest(volumeId), manifest)
    await a.deleteVolume(volumeId)
    assert.equal(await b.readManifest(volumeId), undefined)
    await assert.rejects(a.writeManifest(volumeId, manifest), failsWith('not-found'))
  })

  scenario('of two manifests the newer one stays, whichever is written last', async (world, a) => {
    const b = world.onHost('b')
    const older = makeManifest('web', { version: { epoch: 6, revision: 9 } })
    const newer = makeManifest('web', { version: { epoch: 7, revision: 3 } })
    const newest = makeManifest('web', { version: { epoch: 7, revision: 4 } })
    await a.writeManifest(volumeId, older)
    await b.writeManifest(volumeId, newer)
    assert.deepEqual(await a.writeManifest(volumeId, older), newer.version)
    assert.deepEqual(await a.readManifest(volumeId), newer)
    assert.deepEqual(await b.writeManifest(volumeId, newest), newest.version)
    assert.deepEqual(await a.readManifest(volumeId), newest)
  })
}
