/** The folder of a template version that is made here: there as a whole, by a rename, or not at all. A port, so that sagas are tried without files. */
import { copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  describeTemplate,
  type TemplateInstant,
  type TemplateParameters,
} from '../../control/templates/describe-template.ts'
import type { Leader } from '../../engine/leader.ts'
import { readQcow2Header } from '../../linux/qcow2-header.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import {
  bootOf,
  kernelFileNames,
  rootDiskFileName,
  type TemplateFile,
  type TemplateManifest,
  templateManifestFileName,
  templateManifestSchema,
} from '../../model/template-manifest.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Download } from '../../transport/contract-client.ts'
import { hashOf } from '../images/hash-of.ts'
import { refuseWithoutRoom } from '../images/uploads.ts'
import { enterTemplate } from './build-template-saga.ts'

export type NewVersion = {
  readonly vm: VmSpec
  readonly parameters: TemplateParameters
  readonly instant: TemplateInstant
  /** Of the machine's own template: what its kernel is, and what is known of its system. */
  readonly baseDirectory: string
  readonly builtAt: string
  /** The disk, from its beginning. */
  open(): Promise<Download>
  readonly signal: AbortSignal
  onProgress(fraction: number): void
}

export type NewVersions = {
  /** Doing it again is fine: one that is there stays. */
  add(version: NewVersion): Promise<void>
  /** What there is of it. */
  remove(version: string): Promise<void>
  /** The cluster knows it from now on. */
  enter(leader: Leader, version: string): Promise<void>
}

/** Below this folder, one a version. */
export function createNewVersions(templates: string): NewVersions {
  const folderOf = (version: string) => join(templates, version)
  const workOf = (version: string) => join(templates, `.create-${version}`)
  return {
    async add(version) {
      const { version: name } = version.parameters
      const [folder, work] = [folderOf(name), workOf(name)]
      if (await isThere(join(folder, templateManifestFileName))) return
      await rm(work, { recursive: true, force: true })
      await mkdir(work, { recursive: true, mode: 0o700 })
      await fill(work, version)
      await rename(work, folder)
    },
    async remove(version) {
      for (const folder of [workOf(version), folderOf(version)]) await rm(folder, { recursive: true, force: true })
    },
    enter: (leader, version) => enterTemplate(leader, folderOf(version)),
  }
}

async function fill(work: string, version: NewVersion): Promise<void> {
  const { vm, parameters, instant, baseDirectory, builtAt } = version
  const text = await readFile(join(baseDirectory, templateManifestFileName), 'utf8')
  const base = templateManifestSchema.parse(JSON.parse(text))
  const disk = join(work, rootDiskFileName)
  await receive(disk, version)
  await refuseUnfit(disk)
  const kernel = bootOf(base) === 'kernel' ? kernelFileNames : []
  for (const name of kernel) await copyFile(join(baseDirectory, name), join(work, name))
  const files: Record<string, TemplateFile> = {}
  for (const name of [rootDiskFileName, ...kernel]) files[name] = await hashOf(join(work, name))
  const manifest: TemplateManifest = { ...describeTemplate(parameters, { vm, base, instant }), builtAt, files }
  await writeFile(join(work, templateManifestFileName), `${JSON.stringify(manifest, null, 2)}\n`)
  for (const name of [...kernel, templateManifestFileName]) await sync(join(work, name))
}

/** All of it, durably, or an error. */
async function receive(path: string, { open: openDisk, signal, onProgress }: NewVersion): Promise<void> {
  const { size, stream } = await openDisk()
  if (size === undefined) throw new DialtoneError('image-corrupt', 'the host did not say how large the disk is')
  await refuseWithoutRoom(join(path, '..'), size)
  let bytes = 0
  await using file = await open(path, 'wx', 0o600)
  await pipeline(
    stream,
    async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) {
        bytes += chunk.length
        await file.writeFile(chunk)
        onProgress(bytes / size)
      }
    },
    { signal },
  )
  if (bytes !== size) throw new DialtoneError('image-corrupt', `only ${bytes} of the disk’s ${size} bytes came`)
  await file.sync()
}

/** A host is believed what a disk's content is, not what else should be opened with it. */
async function refuseUnfit(path: string): Promise<void> {
  await using file = await open(path, 'r')
  const { backingFile } = await readQcow2Header(file, 'the disk that came')
  if (backingFile !== undefined) throw new DialtoneError('image-corrupt', 'the disk that came lies on another file')
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
