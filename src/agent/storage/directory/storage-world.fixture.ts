/** A directory storage in a temporary folder, for tests. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { runCommand } from '../../../linux/run-command.ts'
import { type LayerId, type VolumeId, volumeIdSchema } from '../../../model/ids.ts'
import type { StorageWorld } from '../storage.contract.ts'
import type { Storage } from '../storage.ts'
import { layerFileName } from './current-layer.ts'
import { createDirectoryStorage } from './directory-storage.ts'

/** Another one in each process: who has a volume open is asked of the whole host, and test files run beside each other. */
export const volumeId = volumeIdSchema.parse(`vol-${process.pid.toString(36).padStart(8, 'c')}`)

export type World = Awaited<ReturnType<typeof makeWorld>>

export async function makeWorld(t: TestContext) {
  const outside = await mkdtemp(join(tmpdir(), 'dialtone-storage-'))
  t.after(() => rm(outside, { recursive: true, force: true }))
  const path = join(outside, 'storage')
  // A plain folder takes the pid as well as a cgroup does.
  const cgroupDirectory = join(outside, 'cgroup')
  await mkdir(path)
  await mkdir(cgroupDirectory)
  const base = { version: 'tiny-1', path: join(outside, 'base.qcow2') }
  await qemuImg(['create', '-q', '-f', 'qcow2', base.path, '64M'])
  const onHost = (hostName: string) => createDirectoryStorage({ path, shared: true, hostName })
  const fileOf = (name: string) => join(path, 'volumes', volumeId, name)
  return { outside, path, cgroupDirectory, base, onHost, fileOf }
}

export async function makeContractWorld(t: TestContext): Promise<StorageWorld> {
  const world = await makeWorld(t)
  const hosts = new Map<string, Storage>()
  const folderOf = (volume: VolumeId) => join(world.path, 'volumes', volume)
  return {
    ...world,
    onHost(hostName) {
      const storage = hosts.get(hostName) ?? world.onHost(hostName)
      hosts.set(hostName, storage)
      return storage
    },
    holdOpen: (_hostName, volume, layerId) => holdOpen(join(folderOf(volume), layerFileName(layerId))),
    async mergeInto(volume, layerId, on) {
      await rebase(join(folderOf(volume), layerFileName(layerId)), on)
    },
    async damageImage(image, change) {
      const path = join(folderOf(image.volumeId), 'images', image.imageId, image.name)
      const changed = change(await readFile(path))
      if (changed === undefined) await rm(path)
      else await writeFile(path, changed)
    },
    async readGuestState(volume) {
      const [variables, tpm] = await Promise.all(statePaths(folderOf(volume)).map((path) => readFile(path, 'utf8')))
      assert.equal(variables, tpm)
      return variables ?? ''
    },
    async writeGuestState(volume, state) {
      for (const path of statePaths(folderOf(volume))) await writeFile(path, state)
    },
    tearSlot: (slot) => writeAt(join(world.path, 'slots'), slot * 4096 + 17, 'X'),
  }
}

/** Of firmware and TPM. */
function statePaths(folder: string): readonly string[] {
  return [join(folder, 'firmware-variables.fd'), join(folder, 'tpm', 'tpm2-00.permall')]
}

/** What the hypervisor's merge of layers does to the file, of a machine that doesn't run. */
export function rebase(path: string, on: LayerId | null): Promise<string> {
  return qemuImg(['rebase', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', layerFileName(on), path])
}

/** Another process has the file open until the answer is called. */
export async function holdOpen(path: string): Promise<() => Promise<void>> {
  const file = await open(path)
  const holder = spawn('sleep', ['60'], { stdio: [file.fd, 'ignore', 'ignore'] })
  await once(holder, 'spawn')
  await file.close()
  return async () => {
    const exited = once(holder, 'exit')
    holder.kill('SIGKILL')
    await exited
  }
}

export function request(world: World) {
  const { base, cgroupDirectory } = world
  return { volumeId, format: 'qcow2', sizeMiB: 128, base, cgroupDirectory } as const
}

export function qemuImg(args: readonly string[]): Promise<string> {
  return runCommand('qemu-img', args, { timeoutMs: 5000 })
}

export async function writeAt(path: string, offset: number, text: string): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(text, offset)
  await file.close()
}
