import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { vmIdSchema } from '../../../model/ids.ts'
import { testManifests } from '../manifests.contract.ts'
import { failsWith, testStorage } from '../storage.contract.ts'
import { createDirectoryStorage } from './directory-storage.ts'
import { holdOpen, makeContractWorld, makeWorld, qemuImg, request, volumeId, writeAt } from './storage-world.fixture.ts'

const vmId = vmIdSchema.parse('vm-aaaaaaaa')
const imageUuid = '6f9c1d3e-0000-4000-8000-000000000001'

testStorage('directory storage', makeContractWorld)
testManifests('directory storage', makeContractWorld)

test('a disk is an overlay with a relative path on an immutable copy, and works after the storage moved', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await rm(world.base.path)
  const image = await stat(join(world.path, 'images', 'tiny-1.qcow2'))
  assert.equal(image.mode & 0o777, 0o444)
  const moved = `${world.path}-moved`
  t.after(() => rm(moved, { recursive: true, force: true }))
  await rename(world.path, moved)
  const there = createDirectoryStorage({ path: moved, shared: true, hostName: 'b' })
  const { path } = await there.openVolume(volumeId, 'qcow2', 0)
  const info = await runCommand('qemu-img', ['info', '--output=json', '--backing-chain', path], { timeoutMs: 5000 })
  assert.match(info, /"backing-filename": "..\/..\/images\/tiny-1.qcow2"/)
  assert.match(info, /"virtual-size": 134217728/)
})

test('an opened disk belongs to its user, who can walk to it and reads the image under it', async (t) => {
  const world = await makeWorld(t)
  await world.onHost('a').createVolume(request(world))
  const { path } = await world.onHost('a').openVolume(volumeId, 'qcow2', 20007)
  const disk = await stat(path)
  assert.deepEqual([disk.uid, disk.gid, disk.mode & 0o777], [20007, 20007, 0o600])
  await chmod(world.outside, 0o755)
  const readAll = ['--reuid=20007', '--regid=20007', '--clear-groups', 'qemu-io', '-c', 'read 0 4096', path]
  assert.match(await runCommand('setpriv', readAll, { timeoutMs: 5000 }), /read 4096\/4096 bytes/)
})

test('a storage without its marker is an error in every call, and not an empty storage', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const marker = join(world.path, 'dialtone-storage.json')
  const expectedUuid: unknown = JSON.parse(await readFile(marker, 'utf8')).storageUuid
  assert.ok(typeof expectedUuid === 'string')
  await rename(marker, `${marker}.away`)
  const mounted = createDirectoryStorage({ path: world.path, shared: true, hostName: 'a', expectedUuid })
  for (const view of [storage, mounted]) {
    await assert.rejects(view.listVolumes(), failsWith('storage-failed', /no marker: it is not mounted/))
    await assert.rejects(view.readSlot(0), failsWith('storage-failed'))
    await assert.rejects(view.usage(), failsWith('storage-failed'))
    await assert.rejects(view.createVolume(request(world)), failsWith('storage-failed'))
  }
  await rename(`${marker}.away`, marker)
  assert.deepEqual(await mounted.listVolumes(), [volumeId])
  const other = createDirectoryStorage({ path: world.path, shared: true, hostName: 'a', expectedUuid: imageUuid })
  await assert.rejects(other.listVolumes(), failsWith('storage-failed', /marker of another storage/))
})

test('a storage whose folder is missing is an error, and the folder is not made', async (t) => {
  const world = await makeWorld(t)
  const path = join(world.outside, 'never-mounted')
  const storage = createDirectoryStorage({ path, shared: true, hostName: 'a' })
  await assert.rejects(storage.listVolumes(), failsWith('storage-failed'))
  await assert.rejects(stat(path))
})

test('hosts that prepare the same folder at once agree on one storage', async (t) => {
  const world = await makeWorld(t)
  await Promise.all(['a', 'b', 'c'].map((hostName) => world.onHost(hostName).listVolumes()))
  const names = await readdir(world.path)
  assert.deepEqual(names.sort(), ['dialtone-storage.json', 'images', 'slots', 'volumes'])
})

test('a disk whose header points out of the storage is refused', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const disk = join(world.path, 'volumes', volumeId, 'disk.qcow2')
  const secret = join(world.outside, 'secret.qcow2')
  await qemuImg(['create', '-q', '-f', 'qcow2', secret, '128M'])
  const neighbour = join(world.path, 'volumes', 'vol-dddddddd')
  await mkdir(neighbour)
  await qemuImg(['create', '-q', '-f', 'qcow2', join(neighbour, 'disk.qcow2'), '128M'])
  await symlink(secret, join(world.path, 'images', 'link.qcow2'))
  const backings = [
    secret,
    `../../../${secret.slice(secret.lastIndexOf('/') + 1)}`,
    '../vol-dddddddd/disk.qcow2',
    '../../images/link.qcow2',
    '../../images/missing.qcow2',
    'nbd:localhost:10809',
  ]
  for (const backing of backings) {
    await qemuImg(['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', backing, disk])
    await assert.rejects(
      storage.openVolume(volumeId, 'qcow2', 0),
      failsWith('image-corrupt', /missing or lies elsewhere/),
    )
  }
  await qemuImg(['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'raw', '-b', '../../images/tiny-1.qcow2', disk])
  await assert.rejects(
    storage.openVolume(volumeId, 'qcow2', 0),
    failsWith('image-corrupt', /format of its backing file/),
  )
  await qemuImg(['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', '../../images/tiny-1.qcow2', disk])
  await storage.openVolume(volumeId, 'qcow2', 0)
})

test('a disk that keeps its data in another file, is truncated, is no qcow2 or is a link is refused', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  const disk = join(world.path, 'volumes', volumeId, 'disk.qcow2')
  const refused = (words: RegExp) =>
    assert.rejects(storage.openVolume(volumeId, 'qcow2', 0), failsWith('image-corrupt', words))
  const whole = await readFile(disk)
  await writeFile(disk, whole.subarray(0, 70_000))
  await refused(/truncated/)
  await writeFile(disk, 'not a disk')
  await refused(/not a qcow2/)
  await rm(disk)
  const data = join(world.outside, 'data.raw')
  await qemuImg(['create', '-q', '-f', 'qcow2', '-o', `data_file=${data}`, disk, '128M'])
  await refused(/data in another file/)
  await rm(disk)
  await symlink(join(world.outside, 'base.qcow2'), disk)
  await refused(/is a link/)
})

test('a volume smaller than its template is refused', async (t) => {
  const world = await makeWorld(t)
  const small = { ...request(world), sizeMiB: 63 }
  await assert.rejects(
    world.onHost('a').createVolume(small),
    failsWith('invalid-input', /63 MiB are less than the 64 MiB/),
  )
  assert.deepEqual(await world.onHost('a').listVolumes(), [])
})

test('a volume for which no space is free is refused with the numbers', async (t) => {
  const world = await makeWorld(t)
  const minimumFreeMiB = 1e9
  const storage = createDirectoryStorage({ path: world.path, shared: false, hostName: 'a', minimumFreeMiB })
  await assert.rejects(storage.createVolume(request(world)), failsWith('storage-failed', /\d+ MiB free, and 10\d+ MiB/))
  assert.deepEqual(await readdir(join(world.path, 'images')), [])
})

test('a creator killed at any moment leaves no volume, or a whole one, and its left-overs are cleared', async (t) => {
  const world = await makeWorld(t)
  await world.onHost('a').listVolumes()
  const program = join(import.meta.dirname, 'create-volume.fixture.ts')
  for (const killAfterMs of [0, 4, 8, 12, 20, 35]) {
    const args = [program, world.path, world.base.path, world.cgroupDirectory, volumeId]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    await Promise.race([once(child.stdout, 'data'), exited])
    await new Promise((resolve) => setTimeout(resolve, killAfterMs))
    child.kill('SIGKILL')
    await exited
    const storage = world.onHost('a')
    if ((await storage.listVolumes()).includes(volumeId)) await storage.openVolume(volumeId, 'qcow2', 0)
    await storage.createVolume(request(world))
    const left = [...(await readdir(join(world.path, 'volumes'))), ...(await readdir(join(world.path, 'images')))]
    assert.deepEqual(left, [volumeId, 'tiny-1.qcow2'])
    await storage.deleteVolume(volumeId)
    await rm(join(world.path, 'images', 'tiny-1.qcow2'))
  }
})

test("another host's unfinished work is left alone for a day", async (t) => {
  const world = await makeWorld(t)
  await world.onHost('a').listVolumes()
  const work = join(world.path, 'volumes', `.work+${volumeId}+b+12345678+77+4242+1`)
  await mkdir(work)
  await world.onHost('a').createVolume(request(world))
  await stat(work)
  const twoDaysAgo = ['-d', '2 days ago', work]
  await runCommand('touch', twoDaysAgo, { timeoutMs: 5000 })
  await world.onHost('a').createVolume(request(world))
  await assert.rejects(stat(work))
})

test('of many claims the two highest stay beside the disk', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  for (let incarnation = 0; incarnation < 12; incarnation += 1) {
    await storage.claimVolume(volumeId, { hostName: 'a', life: { vmId, epoch: 2, incarnation } })
  }
  const files = await readdir(join(world.path, 'volumes', volumeId))
  assert.deepEqual(files.sort(), ['claim-2-10.json', 'claim-2-11.json', 'disk.qcow2'])
})

test('a damaged claim still voids lower ones, and its owner is reported as unknown', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.createVolume(request(world))
  await writeFile(join(world.path, 'volumes', volumeId, 'claim-4-0.json'), '')
  const claimWith = (epoch: number) =>
    storage.claimVolume(volumeId, { hostName: 'a', life: { vmId, epoch, incarnation: 0 } })
  await assert.rejects(claimWith(3), failsWith('stale-epoch', /unknown host/))
  await assert.rejects(claimWith(4), failsWith('stale-epoch', /unknown host/))
  await assert.rejects(storage.readClaim(volumeId), failsWith('storage-failed'))
  await claimWith(5)
  assert.equal((await storage.readClaim(volumeId))?.life.epoch, 5)
})

test('a slot of random bytes, or with a cut block, is an error', async (t) => {
  const world = await makeWorld(t)
  const storage = world.onHost('a')
  await storage.writeSlot(300, 'pill')
  await writeAt(join(world.path, 'slots'), 300 * 4096, 'noise')
  await assert.rejects(storage.readSlot(300), failsWith('storage-failed', /torn/))
  await storage.writeSlot(300, 'x'.repeat(4080))
  assert.equal((await storage.readSlot(300))?.length, 4080)
  await assert.rejects(storage.writeSlot(300, 'x'.repeat(4081)), failsWith('invalid-input'))
  await runCommand('truncate', ['-s', String(300 * 4096 + 2048), join(world.path, 'slots')], { timeoutMs: 5000 })
  await assert.rejects(storage.readSlot(300), failsWith('storage-failed'))
})

test('a volume is deleted while another storage of the host has one of its id open, as after a move', async (t) => {
  const [world, other] = [await makeWorld(t), await makeWorld(t)]
  for (const one of [world, other]) await one.onHost('a').createVolume(request(one))
  const close = await holdOpen(other.fileOf('disk.qcow2'))
  t.after(close)
  await world.onHost('a').deleteVolume(volumeId)
  assert.deepEqual(await world.onHost('a').listVolumes(), [])
  await assert.rejects(other.onHost('a').deleteVolume(volumeId), { code: 'in-use' })
})
