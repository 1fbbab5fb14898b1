import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { layerIdSchema } from '../../../model/ids.ts'
import { testImages } from '../images.contract.ts'
import { describeFile, sampleImageId as imageId, makeSampleImage } from '../sample-image.fixture.ts'
import { failsWith } from '../storage.contract.ts'
import { createDirectoryStorage } from './directory-storage.ts'
import { copySparse } from './sparse-copy.ts'
import { makeContractWorld, makeWorld, request, volumeId, type World } from './storage-world.fixture.ts'

const layerId = layerIdSchema.parse('layer-aaaaaaaa')
const disks = [{ volumeId, layerId: null }]

testImages('directory storage', makeContractWorld)

test('a copy has the bytes of its source and the holes as well, and zeros become holes', async (t) => {
  const { outside } = await makeWorld(t)
  const [source, target] = [join(outside, 'source'), join(outside, 'target')]
  const size = 64 * 2 ** 20 + 123
  const content = Buffer.alloc(size)
  for (const [offset, text] of [
    [0, 'begin'],
    [5_000_000, 'x'.repeat(300_000)],
    [size - 3, 'end'],
  ] as const)
    content.write(text, offset)
  const file = await open(source, 'w')
  await file.truncate(size)
  for (const [start, end] of [
    [0, 6_000_000],
    [20_000_000, 21_000_000],
    [size - 3, size],
  ] as const)
    await file.write(content, start, end - start, start)
  await file.close()
  assert.deepEqual(await copySparse([{ source, target }], 20_000), [describeFile(content)])
  assert.ok(content.equals(await readFile(target)))
  const [before, after] = [await stat(source), await stat(target)]
  assert.ok(after.blocks < before.blocks && after.blocks * 512 < 400_000, `${after.blocks} blocks of ${before.blocks}`)
})

test('a copy never touches a file that is there', async (t) => {
  const { outside } = await makeWorld(t)
  const [source, target] = [join(outside, 'source'), join(outside, 'target')]
  await writeFile(source, 'new')
  await writeFile(target, 'mapped by somebody')
  await assert.rejects(copySparse([{ source, target }], 20_000), failsWith('storage-failed', /EEXIST/))
  assert.equal(await readFile(target, 'utf8'), 'mapped by somebody')
})

test('a fetched image takes the place of a file that is mapped, which stays what it was for its user', async (t) => {
  const world = await makeFrozenWorld(t)
  const storage = world.onHost('a')
  const { manifest, files } = await makeSampleImage(world.outside, disks)
  await storage.storeImage(manifest, files)
  const into = { memory: join(world.outside, 'memory'), state: join(world.outside, 'state') }
  await writeFile(into.memory, 'mapped by somebody')
  const mapped = await open(into.memory)
  t.after(() => mapped.close())
  await storage.fetchImage(volumeId, imageId, into)
  assert.equal(await mapped.readFile('utf8'), 'mapped by somebody')
})

test('on a full storage an image fails and leaves nothing', async (t) => {
  const world = await makeWorld(t)
  await runCommand('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', world.path], { timeoutMs: 5000 })
  try {
    await fillStorage(world)
  } finally {
    await runCommand('umount', [world.path], { timeoutMs: 5000 })
  }
})

test('what crashes between the files of an image leave is not listed, holds no layer, and is done again', async (t) => {
  const world = await makeFrozenWorld(t)
  const { manifest, files } = await makeSampleImage(world.outside, [{ volumeId, layerId }])
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8)
  const work = join(world.path, 'volumes', `.work+${imageId}+a+${bootId}+4194305+1+1`)
  await mkdir(work)
  await writeFile(join(work, 'memory'), 'half')
  await writeFile(world.fileOf(`needed+${layerId}+${imageId}+${volumeId}`), '')
  const storage = world.onHost('a')
  await storage.useLayer(volumeId, layerId)
  await storage.useLayer(volumeId, null)
  for (const left of [[], ['memory'], ['memory', 'state']]) {
    await mkdir(world.fileOf(`images/${imageId}`), { recursive: true })
    for (const name of left) await writeFile(world.fileOf(`images/${imageId}/${name}`), 'half')
    assert.deepEqual(await storage.listImages(volumeId), [])
    const into = { memory: join(world.outside, 'memory'), state: join(world.outside, 'state') }
    await assert.rejects(storage.fetchImage(volumeId, imageId, into), failsWith('image-corrupt', /not whole/))
    await storage.storeImage(manifest, files)
    await storage.fetchImage(volumeId, imageId, into)
    await storage.removeImage(volumeId, imageId)
  }
  assert.deepEqual(await readdir(join(world.path, 'volumes')), [volumeId])
  await storage.removeLayer(volumeId, layerId)
})

test('an agent killed at any moment leaves a volume that opens and no half image', async (t) => {
  const world = await makeFrozenWorld(t)
  const { manifest, files } = await makeSampleImage(world.outside, disks)
  const { path, cgroupDirectory } = world
  const task = JSON.stringify({ path, cgroupDirectory, manifest, files, layer: layerId })
  const program = join(import.meta.dirname, 'store-image.fixture.ts')
  const into = { memory: join(world.outside, 'memory'), state: join(world.outside, 'state') }
  for (const killAfterMs of [5, 30, 60, 110, 170, 240]) {
    const child = spawn(process.execPath, [program, task], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    await Promise.race([once(child.stdout, 'data'), exited])
    await new Promise((resolve) => setTimeout(resolve, killAfterMs))
    assert.equal(child.kill('SIGKILL'), true)
    await exited
    const storage = world.onHost('a')
    for (const { id } of await storage.listImages(volumeId)) await storage.fetchImage(volumeId, id, into)
    await storage.removeImage(volumeId, imageId)
    await storage.openVolume(volumeId, 'qcow2', 0)
    await storage.useLayer(volumeId, null)
    await storage.removeLayer(volumeId, layerId)
    assert.deepEqual(await readdir(join(path, 'volumes')), [volumeId])
    const names = await readdir(world.fileOf(''))
    assert.deepEqual(names.filter((name) => name !== 'images').sort(), ['current', 'disk.qcow2'])
  }
})

/** A volume whose machine writes to nothing at the moment, with one layer on its first. */
async function makeFrozenWorld(t: TestContext): Promise<World> {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await storage.addLayer(volumeId, { layerId, on: null, userId: 0, cgroupDirectory: world.cgroupDirectory })
  await storage.useLayer(volumeId, layerId)
  return world
}

/** Stores an image that is too large, and after it one that isn't. */
async function fillStorage({ path, cgroupDirectory, outside }: World): Promise<void> {
  const storage = createDirectoryStorage({ path, shared: true, hostName: 'a', minimumFreeMiB: 0 })
  await storage.createVolume({ volumeId, format: 'qcow2', sizeMiB: 8, cgroupDirectory })
  await storage.addLayer(volumeId, { layerId, on: null, userId: 0, cgroupDirectory })
  await storage.useLayer(volumeId, layerId)
  const { manifest, files } = await makeSampleImage(outside, disks)
  const memory = Buffer.alloc(12 * 2 ** 20, 'x')
  await writeFile(files.memory, memory)
  const large = { ...manifest, files: { ...manifest.files, memory: describeFile(memory) } }
  await assert.rejects(storage.storeImage(large, files), failsWith('storage-failed', /MiB are needed/))
  // Also when the space goes while it is copied.
  const target = join(path, 'volumes', 'copy')
  await assert.rejects(copySparse([{ source: files.memory, target }], 20_000), failsWith('storage-failed', /ENOSPC/))
  await rm(target)
  assert.deepEqual(await readdir(join(path, 'volumes')), [volumeId])
  const names = await readdir(join(path, 'volumes', volumeId))
  assert.deepEqual(names.sort(), ['current', 'disk.qcow2', `${layerId}.qcow2`])
  const small = await makeSampleImage(outside, disks)
  await storage.storeImage(small.manifest, small.files)
}
