import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { type LayerId, layerIdSchema, vmIdSchema } from '../../../model/ids.ts'
import { testLayers } from '../layers.contract.ts'
import { failsWith } from '../storage.contract.ts'
import {
  makeContractWorld,
  makeWorld,
  qemuImg,
  rebase,
  request,
  volumeId,
  type World,
} from './storage-world.fixture.ts'

const lower = layerIdSchema.parse('layer-aaaaaaaa')
const middle = layerIdSchema.parse('layer-bbbbbbbb')
const upper = layerIdSchema.parse('layer-cccccccc')
const userId = 20007

testLayers('directory storage', makeContractWorld)

test('a layer lies on the next file of its folder by a relative name, and reads what is under it', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await qemuIo('write -P 7 1M 64k', world.fileOf('disk.qcow2'))
  const { path } = await storage.addLayer(volumeId, layer(world, lower, null))
  const info = await qemuImg(['info', '--output=json', path])
  assert.match(info, /"backing-filename": "disk.qcow2"/)
  assert.match(info, /"backing-filename-format": "qcow2"/)
  assert.match(info, /"virtual-size": 134217728/)
  await qemuIo('read -P 7 1M 64k', path)
})

test("the current layer and all under it belong to the machine's user, and the template's image does not", async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await storage.addLayer(volumeId, layer(world, lower, null))
  await storage.useLayer(volumeId, lower)
  await chmod(world.outside, 0o755)
  const { path } = await storage.openVolume(volumeId, 'qcow2', 20009)
  for (const name of ['disk.qcow2', `${lower}.qcow2`]) {
    const { uid, gid, mode } = await stat(world.fileOf(name))
    assert.deepEqual([uid, gid, mode & 0o777], [20009, 20009, 0o600], name)
  }
  assert.equal((await stat(join(world.path, 'images', 'tiny-1.qcow2'))).uid, 0)
  const asUser = ['--reuid=20009', '--regid=20009', '--clear-groups', 'qemu-io', '-c', 'write -P 1 0 4096', path]
  assert.match(await runCommand('setpriv', asUser, { timeoutMs: 5000 }), /wrote 4096\/4096 bytes/)
})

test('what is written tells in which layer it went', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const { path } = await storage.addLayer(volumeId, layer(world, lower, null))
  const usedOf = async () => (await storage.listLayers(volumeId)).map(({ usedBytes }) => usedBytes)
  const before = await usedOf()
  await qemuIo('write -P 1 0 8M', path)
  const after = await usedOf()
  assert.equal(after[0], before[0])
  assert.ok((after[1] ?? 0) - (before[1] ?? 0) >= 8 * 2 ** 20)
})

test('a merge keeps the content, and is accepted only with the relative name of a file of the folder', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await storage.addLayer(volumeId, layer(world, lower, null))
  await storage.addLayer(volumeId, layer(world, middle, lower))
  const { path } = await storage.addLayer(volumeId, layer(world, upper, middle))
  await qemuIo('write -P 2 2M 64k', world.fileOf(`${lower}.qcow2`))
  await qemuIo('write -P 3 3M 64k', world.fileOf(`${middle}.qcow2`))
  await rebase(path, null)
  for (const name of [world.fileOf('disk.qcow2'), './disk.qcow2']) {
    await qemuImg(['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', name, path])
    await assert.rejects(storage.layerMerged(volumeId, upper, null), failsWith('wrong-state', /disk.qcow2/))
  }
  await rebase(path, null)
  await storage.layerMerged(volumeId, upper, null)
  await storage.removeLayer(volumeId, middle)
  await storage.removeLayer(volumeId, lower)
  await qemuIo('read -P 2 2M 64k', path)
  await qemuIo('read -P 3 3M 64k', path)
})

test('a volume whose current layer is missing, or that names none, is not opened as an older state', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await storage.addLayer(volumeId, layer(world, lower, null))
  await storage.useLayer(volumeId, lower)
  await writeFile(world.fileOf('current'), '')
  await assert.rejects(storage.openVolume(volumeId, 'qcow2', userId), failsWith('image-corrupt', /names no layer/))
  await storage.useLayer(volumeId, lower)
  await rm(world.fileOf(`${lower}.qcow2`))
  await assert.rejects(storage.openVolume(volumeId, 'qcow2', userId), failsWith('image-corrupt', /is missing/))
})

test('a layer that leads into another volume is refused', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const { path } = await storage.addLayer(volumeId, layer(world, lower, null))
  const neighbour = join(world.path, 'volumes', 'vol-dddddddd')
  await mkdir(neighbour)
  await qemuImg(['create', '-q', '-f', 'qcow2', join(neighbour, 'disk.qcow2'), '128M'])
  await qemuImg(['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', '../vol-dddddddd/disk.qcow2', path])
  await storage.useLayer(volumeId, lower)
  await assert.rejects(storage.openVolume(volumeId, 'qcow2', userId), failsWith('image-corrupt', /lies elsewhere/))
  await assert.rejects(storage.addLayer(volumeId, layer(world, upper, lower)), failsWith('image-corrupt'))
})

test('what a killed agent left of a layer and of a change of the current one is cleared and done again', async (t) => {
  const world = await makeWorld(t)
  await world.onHost('a').createVolume(request(world))
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8)
  const volumes = join(world.path, 'volumes')
  const workOn = (subject: string) => join(volumes, `.work+${subject}+a+${bootId}+4194305+1+1`)
  await mkdir(workOn(lower))
  await writeFile(join(workOn(lower), `${lower}.qcow2`), 'half')
  await writeFile(workOn('current'), 'disk')
  const storage = world.onHost('a')
  await storage.addLayer(volumeId, layer(world, lower, null))
  await storage.useLayer(volumeId, lower)
  assert.deepEqual(await readdir(volumes), [volumeId])
  assert.deepEqual((await readdir(world.fileOf(''))).sort(), ['current', 'disk.qcow2', `${lower}.qcow2`])
  await storage.openVolume(volumeId, 'qcow2', userId)
})

test('a recovery of the claim and the layer runs no program', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await storage.addLayer(volumeId, layer(world, lower, null))
  const path = process.env['PATH']
  t.after(() => void (process.env['PATH'] = path))
  process.env['PATH'] = '/nowhere'
  const life = { vmId: vmIdSchema.parse('vm-aaaaaaaa'), epoch: 1, incarnation: 1 }
  await storage.claimVolume(volumeId, { hostName: 'a', life })
  await storage.useLayer(volumeId, lower)
  await storage.openVolume(volumeId, 'qcow2', userId)
})

function layer({ cgroupDirectory }: World, layerId: LayerId, on: LayerId | null) {
  return { layerId, on, userId, cgroupDirectory }
}

async function qemuIo(command: string, path: string): Promise<void> {
  const answer = await runCommand('qemu-io', ['-c', command, path], { timeoutMs: 5000 })
  assert.doesNotMatch(answer, /failed/)
}
