import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { layerIdSchema, volumeIdSchema } from '../../../model/ids.ts'
import { failsWith } from '../storage.contract.ts'
import { holdOpen, makeWorld, qemuImg, request, volumeId, type World } from './storage-world.fixture.ts'

const lower = layerIdSchema.parse('layer-aaaaaaaa')
const upper = layerIdSchema.parse('layer-bbbbbbbb')
const cloneId = volumeIdSchema.parse('vol-eeeeeeee')
const version = 'img-abcdefgh'

test('a published base holds what every layer holds, as a small, read-only overlay of the template', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await qemuIo('write -P 1 1M 64k', world.base.path)
  await qemuIo('write -P 1 50M 8M', world.base.path)
  await makeTwoLayers(world)
  await storage.publishBase(volumeId, upper, { version, cgroupDirectory: world.cgroupDirectory })
  const path = join(world.path, 'images', `${version}.qcow2`)
  const info = await qemuImg(['info', '--output=json', path])
  assert.match(info, /"backing-filename": "tiny-1.qcow2"/)
  assert.match(info, /"backing-filename-format": "qcow2"/)
  const { mode, blocks } = await stat(path)
  assert.equal(mode & 0o777, 0o444)
  assert.ok(blocks * 512 < 2 ** 20, `${blocks * 512} bytes`)
  await qemuImg(['compare', path, world.fileOf(`${upper}.qcow2`)])

  const base = { version, path: undefined }
  const { cgroupDirectory } = world
  await storage.createVolume({ volumeId: cloneId, format: 'qcow2', sizeMiB: 128, base, cgroupDirectory })
  await storage.deleteVolume(volumeId)
  const moved = join(world.outside, 'moved')
  await rename(world.path, moved)
  const clone = join(moved, 'volumes', cloneId, 'disk.qcow2')
  for (const [pattern, at] of [
    [1, '1M'],
    [1, '57M'],
    [2, '2M'],
    [3, '3M'],
    [4, '100M'],
  ])
    await qemuIo(`read -P ${pattern} ${at} 64k`, clone)
})

test('a layer without a template becomes a base that stands alone', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  const { cgroupDirectory } = world
  await storage.createVolume({ volumeId, format: 'qcow2', sizeMiB: 64, cgroupDirectory })
  await qemuIo('write -P 5 5M 64k', world.fileOf('disk.qcow2'))
  await storage.addLayer(volumeId, { layerId: lower, on: null, userId: 0, cgroupDirectory })
  await storage.publishBase(volumeId, lower, { version, cgroupDirectory })
  const path = join(world.path, 'images', `${version}.qcow2`)
  assert.doesNotMatch(await qemuImg(['info', '--output=json', path]), /backing-filename"/)
  await qemuIo('read -P 5 5M 64k', path)
})

test('a layer that is still written to, a wrong version and a damaged disk are refused and leave nothing', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  const { cgroupDirectory } = world
  await storage.createVolume(request(world))
  const close = await holdOpen(world.fileOf('disk.qcow2'))
  await assert.rejects(storage.publishBase(volumeId, null, { version, cgroupDirectory }), failsWith('in-use'))
  await close()
  const outside = { version: '../disk', cgroupDirectory }
  await assert.rejects(storage.publishBase(volumeId, null, outside), failsWith('invalid-input'))
  await assert.rejects(storage.removeBase('../volumes'), failsWith('invalid-input'))
  await writeFile(world.fileOf('disk.qcow2'), 'no disk')
  await assert.rejects(storage.publishBase(volumeId, null, { version, cgroupDirectory }), failsWith('image-corrupt'))
  assert.deepEqual(await readdir(join(world.path, 'images')), ['tiny-1.qcow2'])
})

test('what a killed agent left of a base is cleared, and the base is made again', async (t) => {
  const world = await makeWorld(t)
  await world.onHost('a').createVolume(request(world))
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8)
  const work = join(world.path, 'images', `.work+${version}+a+${bootId}+4194305+1+1`)
  await mkdir(work)
  await writeFile(join(work, `${version}.qcow2`), 'half')
  await world.onHost('a').publishBase(volumeId, null, { version, cgroupDirectory: world.cgroupDirectory })
  assert.deepEqual((await readdir(join(world.path, 'images'))).sort(), [`${version}.qcow2`, 'tiny-1.qcow2'])
})

async function makeTwoLayers(world: World): Promise<void> {
  const storage = world.onHost('a')
  const { cgroupDirectory } = world
  await storage.createVolume(request(world))
  await qemuIo('write -P 2 2M 64k', world.fileOf('disk.qcow2'))
  await qemuIo('write -P 9 3M 64k', world.fileOf('disk.qcow2'))
  await storage.addLayer(volumeId, { layerId: lower, on: null, userId: 0, cgroupDirectory })
  await qemuIo('write -P 3 3M 64k', world.fileOf(`${lower}.qcow2`))
  await storage.addLayer(volumeId, { layerId: upper, on: lower, userId: 0, cgroupDirectory })
  await qemuIo('write -P 4 100M 64k', world.fileOf(`${upper}.qcow2`))
}

async function qemuIo(command: string, path: string): Promise<void> {
  const answer = await runCommand('qemu-io', ['-c', command, path], { timeoutMs: 5000 })
  assert.doesNotMatch(answer, /failed/)
}
