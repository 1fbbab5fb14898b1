import assert from 'node:assert/strict'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { layerIdSchema, volumeIdSchema } from '../../../model/ids.ts'
import { testClones } from '../clones.contract.ts'
import { makeSampleSnapshot, sampleSnapshotId } from '../sample-snapshot.fixture.ts'
import { makeContractWorld, makeWorld, qemuImg, request, volumeId, type World } from './storage-world.fixture.ts'

testClones('directory storage', makeContractWorld)

const cloneId = volumeIdSchema.parse('vol-cloneaaa')
const [upper, own] = [layerIdSchema.parse('layer-aaaaaaaa'), layerIdSchema.parse('layer-bbbbbbbb')]
const [originUser, cloneUser] = [20001, 20002]

async function linked(world: World, snapshotId: typeof sampleSnapshotId | null = null) {
  const storage = world.onHost('a')
  const { cgroupDirectory } = world
  await storage.createVolume(request(world))
  await qemuIo('write -P 7 1M 64k', world.fileOf('disk.qcow2'))
  await storage.addLayer(volumeId, { layerId: upper, on: null, userId: originUser, cgroupDirectory })
  await storage.useLayer(volumeId, upper)
  await writeFile(world.fileOf('firmware-variables.fd'), 'then')
  await storage.keepGuestState(volumeId, sampleSnapshotId)
  await storage.storeSnapshot(volumeId, makeSampleSnapshot([{ volumeId, layerId: null }]))
  await writeFile(world.fileOf('firmware-variables.fd'), 'later')
  const from = { volumeId, layerId: null, snapshotId }
  await storage.linkVolume({ volumeId: cloneId, from, overlay: own, userId: cloneUser, cgroupDirectory })
  const folder = join(world.path, 'volumes', cloneId)
  return { storage, cgroupDirectory, folder }
}

test('origin and clone begin with the same bytes, and neither sees what the other one writes', async (t) => {
  const world = await makeWorld(t)
  const { storage } = await linked(world)
  await chmod(world.outside, 0o755)
  const [origin, clone] = await Promise.all([
    storage.openVolume(volumeId, 'qcow2', originUser),
    storage.openVolume(cloneId, 'qcow2', cloneUser),
  ])
  // As QEMU opens them: each as its own user, and both at once.
  await asUser(originUser, origin.path, 'read -P 7 1M 64k', 'write -P 1 1M 4k')
  await asUser(cloneUser, clone.path, 'read -P 7 1M 64k', 'write -P 2 1M 4k')
  await asUser(originUser, origin.path, 'read -P 1 1M 4k')
  await asUser(cloneUser, clone.path, 'read -P 2 1M 4k', 'read -P 7 1028k 4k')
  const shared = await stat(world.fileOf('disk.qcow2'))
  assert.deepEqual([shared.nlink, shared.mode & 0o777], [2, 0o444])
  await assert.rejects(asUser(cloneUser, join(world.path, 'volumes', cloneId, 'disk.qcow2'), 'write -P 9 0 4k'))
})

test('what is left of a shared layer when the origin is deleted belongs to the clone alone', async (t) => {
  const world = await makeWorld(t)
  const { storage, folder } = await linked(world)
  await storage.deleteVolume(volumeId)
  await chmod(world.outside, 0o755)
  const { path } = await storage.openVolume(cloneId, 'qcow2', cloneUser)
  await asUser(cloneUser, path, 'read -P 7 1M 64k')
  const { uid, mode, nlink } = await stat(join(folder, 'disk.qcow2'))
  assert.deepEqual([uid, mode & 0o777, nlink], [cloneUser, 0o600, 1])
})

test('a clone has the variables of its snapshot, and none without one', async (t) => {
  const world = await makeWorld(t)
  const { folder } = await linked(world, sampleSnapshotId)
  assert.equal(await runCommand('cat', [join(folder, 'firmware-variables.fd')], { timeoutMs: 5000 }), 'then')
})

test('a flattened clone has every byte, lies on nothing, and tells how far it is', async (t) => {
  const world = await makeWorld(t)
  const { storage, cgroupDirectory, folder } = await linked(world)
  await qemuIo('write -P 5 2M 64k', join(folder, `${own}.qcow2`))
  let progress: (() => Promise<number>) | undefined
  const signal = AbortSignal.timeout(60_000)
  await storage.flattenVolume(cloneId, {
    cgroupDirectory,
    signal,
    begins: (ask) => {
      progress = ask
    },
  })
  assert.equal(typeof (await progress?.()), 'number')
  const { path } = await storage.openVolume(cloneId, 'qcow2', cloneUser)
  assert.equal(path, join(folder, 'disk.qcow2'))
  assert.doesNotMatch(await qemuImg(['info', '--output=json', path]), /backing-filename/)
  for (const read of ['read -P 7 1M 64k', 'read -P 5 2M 64k']) await qemuIo(read, path)
  await storage.deleteVolume(volumeId)
  await qemuIo('read -P 7 1M 64k', path)
})

async function qemuIo(command: string, path: string): Promise<void> {
  const said = await runCommand('qemu-io', ['-c', command, path], { timeoutMs: 5000 })
  assert.doesNotMatch(said, /Pattern verification failed/)
}

async function asUser(userId: number, path: string, ...commands: readonly string[]): Promise<void> {
  const run = commands.flatMap((command) => ['-c', command])
  const user = [`--reuid=${userId}`, `--regid=${userId}`, '--clear-groups', 'qemu-io', ...run, path]
  const said = await runCommand('setpriv', user, { timeoutMs: 5000 })
  assert.doesNotMatch(said, /Pattern verification failed/)
}
