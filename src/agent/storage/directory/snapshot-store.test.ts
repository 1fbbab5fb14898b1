import assert from 'node:assert/strict'
import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { layerIdSchema } from '../../../model/ids.ts'
import { makeSampleSnapshot, sampleSnapshotId } from '../sample-snapshot.fixture.ts'
import { testSnapshots } from '../snapshots.contract.ts'
import { failsWith } from '../storage.contract.ts'
import { makeContractWorld, makeWorld, qemuImg, request, volumeId } from './storage-world.fixture.ts'

testSnapshots('directory storage', makeContractWorld)

const layers = ['a', 'b', 'c'].map((word) => layerIdSchema.parse(`layer-${word.repeat(8)}`))

test('a snapshot whose file is damaged needs nothing, and a mark without its snapshot says nothing', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const [one] = layers
  assert.ok(one)
  await storage.addLayer(volumeId, { layerId: one, on: null, userId: 20001, cgroupDirectory: world.cgroupDirectory })
  await storage.useLayer(volumeId, one)
  const snapshot = makeSampleSnapshot([{ volumeId, layerId: null }])
  await storage.storeSnapshot(volumeId, snapshot)
  await writeFile(world.fileOf(`snapshots/${sampleSnapshotId}.json`), '{"formatVersion":1')
  assert.deepEqual(await storage.listSnapshots(volumeId), [])
  await storage.storeSnapshot(volumeId, snapshot)
  assert.deepEqual(await storage.listSnapshots(volumeId), [snapshot])
  await storage.removeSnapshot(volumeId, sampleSnapshotId)
  await writeFile(world.fileOf(`needed+first+${sampleSnapshotId}+${volumeId}`), '')
  await storage.useLayer(volumeId, null)
})

test('merging closed layers keeps every byte and the owner of the disk, and whoever reads the old file goes on reading', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const { cgroupDirectory } = world
  for (const [index, layerId] of layers.entries()) {
    await storage.addLayer(volumeId, { layerId, on: layers[index - 1] ?? null, userId: 20001, cgroupDirectory })
    await storage.useLayer(volumeId, layerId)
    const path = await storage.layerPath(volumeId, layerId)
    await qemuIo(path, `write -P ${index + 1} ${index * 65536} 65536`)
    await qemuIo(path, `write -P ${index + 7} 1M 65536`)
  }
  const [, , top] = layers
  assert.ok(top)
  const path = await storage.layerPath(volumeId, top)
  const before = await contentOf(path, world.outside)
  await storage.mergeClosedLayers(volumeId, { into: top, on: null, cgroupDirectory })
  assert.deepEqual(await contentOf(path, world.outside), before)
  assert.equal((await stat(path)).uid, 20001)
  const left = (await readdir(join(world.path, 'volumes'))).filter((name) => name.startsWith('.work+'))
  assert.deepEqual(left, [])
  for (const layerId of layers.slice(0, 2).toReversed()) await storage.removeLayer(volumeId, layerId)
  assert.deepEqual(await contentOf(path, world.outside), before)
})

test('the TPM’s files come back as its user’s own, later ones go, and a link among them leads nowhere', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await storage.openGuestState(volumeId, { variables: null, hasTpm: true, userId: 20001 })
  await writeFile(world.fileOf('tpm/tpm2-00.permall'), 'before')
  await storage.keepGuestState(volumeId, sampleSnapshotId)
  await writeFile(world.fileOf('tpm/tpm2-00.permall'), 'after')
  await writeFile(world.fileOf('tpm/later'), 'after')
  await storage.restoreGuestState(volumeId, sampleSnapshotId)
  assert.deepEqual(await readdir(world.fileOf('tpm')), ['tpm2-00.permall'])
  const { uid, gid, mode } = await stat(world.fileOf('tpm/tpm2-00.permall'))
  assert.deepEqual([uid, gid, mode & 0o777], [20001, 20001, 0o600])
  await symlink('/etc/hostname', world.fileOf('tpm/link'))
  await assert.rejects(storage.keepGuestState(volumeId, sampleSnapshotId), failsWith('image-corrupt'))
})

function qemuIo(path: string, command: string): Promise<string> {
  return runCommand('qemu-io', ['-f', 'qcow2', '-c', command, path], { timeoutMs: 5000 })
}

async function contentOf(path: string, folder: string): Promise<Buffer> {
  const raw = join(folder, 'content.raw')
  await qemuImg(['convert', '-f', 'qcow2', '-O', 'raw', path, raw])
  return (await readFile(raw)).subarray(0, 4 * 2 ** 20)
}
