import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { volumeIdSchema } from '../../../model/ids.ts'
import { testClones } from '../clones.contract.ts'
import { testImages } from '../images.contract.ts'
import { testLayers } from '../layers.contract.ts'
import { testManifests } from '../manifests.contract.ts'
import { testSnapshots } from '../snapshots.contract.ts'
import { failsWith, type StorageWorld, testStorage } from '../storage.contract.ts'
import { createFakeStorageWorld } from './fake-storage.ts'

testStorage('fake storage', makeWorld)
testLayers('fake storage', makeWorld)
testImages('fake storage', makeWorld)
testSnapshots('fake storage', makeWorld)
testClones('fake storage', makeWorld)
testManifests('fake storage', makeWorld)

async function makeWorld(t: TestContext): Promise<StorageWorld> {
  const outside = await mkdtemp(join(tmpdir(), 'dialtone-fake-storage-'))
  t.after(() => rm(outside, { recursive: true, force: true }))
  const world = createFakeStorageWorld({ shared: true, sleep: delay })
  return {
    onHost: world.storageOf,
    base: { version: 'tiny-1', path: '/fake/root.qcow2' },
    cgroupDirectory: '/fake/cgroup',
    outside,
    holdOpen: async (hostName, volumeId, layerId) => {
      const close = world.storageOf(hostName).holdOpen(volumeId, layerId)
      return async () => close()
    },
    mergeInto: async () => undefined,
    damageImage: async (image, change) => world.damageImage(image, change),
    tearSlot: async (slot) => world.tearSlot(slot),
    readGuestState: async (volume) => world.readGuestState(volume),
    writeGuestState: async (volume, state) => world.writeGuestState(volume, state),
  }
}

test('what was written into a layer is told as its size', async () => {
  const now = new Date('2026-01-02T03:04:05Z')
  const world = createFakeStorageWorld({ shared: true, sleep: delay, now: () => now })
  const volumeId = volumeIdSchema.parse('vol-aaaaaaaa')
  const storage = world.storageOf('a')
  await storage.createVolume({ volumeId, format: 'qcow2', sizeMiB: 64, cgroupDirectory: '/fake/cgroup' })
  world.writeToLayer(volumeId, null, 4096)
  const [layer] = await storage.listLayers(volumeId)
  const untouched = {
    on: undefined,
    isCurrent: true,
    replacedAt: null,
    isNeeded: false,
    isLetGo: false,
    isShared: false,
  }
  assert.deepEqual(layer, { layerId: null, usedBytes: 4096, modifiedAt: now, ...untouched })
})

test('a host that the storage refuses fails while another goes on', async () => {
  const world = createFakeStorageWorld({ shared: true, sleep: delay })
  world.storageOf('a').setFault({ kind: 'refuses' })
  await assert.rejects(world.storageOf('a').readSlot(0), failsWith('storage-failed'))
  await world.storageOf('b').writeSlot(0, 'pill')
  world.storageOf('a').setFault({ kind: 'none' })
  assert.equal(await world.storageOf('a').readSlot(0), 'pill')
})

test('a call to a hanging storage takes effect once the storage answers again', async () => {
  const world = createFakeStorageWorld({ shared: true, sleep: delay })
  world.storageOf('a').setFault({ kind: 'hangs' })
  const write = world.storageOf('a').writeSlot(0, 'late')
  await delay(1)
  assert.equal(await world.storageOf('b').readSlot(0), undefined)
  world.storageOf('a').setFault({ kind: 'none' })
  await write
  assert.equal(await world.storageOf('b').readSlot(0), 'late')
})

test('a slow storage takes its time on the given clock', async () => {
  const sleeps: number[] = []
  const world = createFakeStorageWorld({ shared: true, sleep: async (delayMs) => void sleeps.push(delayMs) })
  world.storageOf('a').setFault({ kind: 'slow', delayMs: 700 })
  await world.storageOf('a').usage()
  assert.deepEqual(sleeps, [700])
})
