/**
 * The versions of templates, or the discs, that this host keeps, one folder each. A version is there wholly, and to the byte as its manifest says, or
 * not at all: it is fetched under another name, checked, synced and renamed. Machines map these files, so they are never changed.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type TemplateFile, templateManifestFileName, templateVersionSchema } from '../../model/template-manifest.ts'
import { type ByteSource, fetchBytes, fetchFileTo } from './fetch-file.ts'

export type ImagePaths = {
  readonly vmlinux: string
  readonly initrd: string
  readonly rootDisk: string
  readonly manifestFile: string
}

/** A version that is here. */
export type CachedImage<Manifest> = ImagePaths & { readonly folder: string; readonly manifest: Manifest }

/** What any manifest says: the files, to the byte. */
export type FilesManifest = { readonly version: string; readonly files: Readonly<Record<string, TemplateFile>> }

export type ImageCache<Manifest> = {
  /**
   * Fetches the version unless it is here. Calls at the same time share one download. `image-corrupt` when what came isn't what the
   * manifest says, `storage-failed` without space; nothing is left then. Errors of `fetchFile` come out as they are.
   */
  ensure(version: string): Promise<CachedImage<Manifest>>
  /** Where the files of a version are once it is here. */
  paths(version: string): ImagePaths
  list(): Promise<readonly string[]>
  /** A missing one is fine; `in-use` while it is being fetched. Machines that have its files open keep them. */
  remove(version: string): Promise<void>
}

export type ImageCacheOptions<Manifest> = {
  readonly manifestSchema: z.ZodType<Manifest>
  /** Made when it is missing. Only one process uses it. */
  readonly directory: string
  readonly fetchFile: (version: string, fileName: string) => Promise<ByteSource>
  /** A download without a single byte for so long has failed; 30,000 ms. */
  readonly stallTimeoutMs?: number
  /** What stays free on the file system; 64 MiB. */
  readonly minimumFreeMiB?: number
}

const manifestLimitBytes = 1024 * 1024
/** Folders that are being fetched or removed; no version begins with a dot. */
const workPrefix = '.work-'

export function createImageCache<Manifest extends FilesManifest>(
  options: ImageCacheOptions<Manifest>,
): ImageCache<Manifest> {
  const { manifestSchema } = options
  const downloads = new Map<string, Promise<CachedImage<Manifest>>>()
  let cleared: Promise<void> | undefined
  const clearOnce = () => {
    cleared ??= clearLeftOvers(options.directory).catch((error: unknown) => {
      cleared = undefined
      throw error
    })
    return cleared
  }
  const folderOf = (version: string) => join(options.directory, checkedVersion(version))
  const obtain = async (version: string): Promise<CachedImage<Manifest>> => {
    await clearOnce()
    const folder = folderOf(version)
    const manifest = (await readWhole(folder, manifestSchema)) ?? (await fetchVersion(version, options))
    return { ...pathsIn(folder), folder, manifest }
  }
  return {
    async ensure(version) {
      const running = downloads.get(version)
      if (running !== undefined) return running
      const download = obtain(version).finally(() => downloads.delete(version))
      downloads.set(version, download)
      return download
    },
    paths: (version) => pathsIn(folderOf(version)),
    async list() {
      const names = await readdir(options.directory).catch(ifMissing([]))
      return names.filter((name) => templateVersionSchema.safeParse(name).success)
    },
    async remove(version) {
      const folder = folderOf(version)
      if (downloads.has(version)) throw new DialtoneError('in-use', `Template version ${version} is being fetched`)
      await removeFolder(folder, options.directory)
    },
  }
}

function pathsIn(folder: string): ImagePaths {
  return {
    vmlinux: join(folder, 'vmlinux'),
    initrd: join(folder, 'initrd.img'),
    rootDisk: join(folder, 'root.qcow2'),
    manifestFile: join(folder, templateManifestFileName),
  }
}

async function fetchVersion<Manifest extends FilesManifest>(
  version: string,
  options: ImageCacheOptions<Manifest>,
): Promise<Manifest> {
  const { directory, fetchFile, stallTimeoutMs = 30_000, minimumFreeMiB = 64 } = options
  const folder = join(directory, version)
  const workFolder = join(directory, `${workPrefix}${version}`)
  await rm(workFolder, { recursive: true, force: true })
  await mkdir(workFolder)
  try {
    const limits = { stallTimeoutMs, describe: (file: string) => `${file} of template version ${version}` }
    const manifestBytes = await fetchBytes(await fetchFile(version, templateManifestFileName), {
      ...limits,
      fileName: templateManifestFileName,
      maximumBytes: manifestLimitBytes,
    })
    const manifest = parseManifest(manifestBytes, version, options.manifestSchema)
    await refuseWithoutSpace(directory, manifest, minimumFreeMiB)
    for (const [fileName, wanted] of Object.entries(manifest.files)) {
      const source = await fetchFile(version, fileName)
      await fetchFileTo(join(workFolder, fileName), source, { ...limits, fileName, wanted })
    }
    await writeSynced(join(workFolder, templateManifestFileName), manifestBytes)
    await syncFolder(workFolder)
    // Something that stands there now is damaged, else it would have been used.
    await removeFolder(folder, directory)
    await rename(workFolder, folder)
    await syncFolder(directory)
    return manifest
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** The manifest of a version that is here with all files in their size; undefined otherwise. The sums were checked when it came. */
async function readWhole<Manifest extends FilesManifest>(
  folder: string,
  schema: z.ZodType<Manifest>,
): Promise<Manifest | undefined> {
  const text = await readFile(join(folder, templateManifestFileName), 'utf8').catch(ifMissing(undefined))
  if (text === undefined) return undefined
  const manifest = schema.safeParse(parseJson(text))
  if (!manifest.success) return undefined
  for (const [fileName, { bytes }] of Object.entries(manifest.data.files)) {
    const found = await stat(join(folder, fileName)).catch(ifMissing(undefined))
    if (found?.size !== bytes) return undefined
  }
  return manifest.data
}

function parseManifest<Manifest extends FilesManifest>(
  bytes: Buffer,
  version: string,
  schema: z.ZodType<Manifest>,
): Manifest {
  const manifest = schema.safeParse(parseJson(bytes.toString('utf8')))
  if (!manifest.success) {
    throw new DialtoneError('image-corrupt', `The manifest of template version ${version} is not one`, {
      cause: manifest.error,
    })
  }
  if (manifest.data.version !== version) {
    const sentence = `The manifest that came for template version ${version} is that of ${manifest.data.version}`
    throw new DialtoneError('image-corrupt', sentence)
  }
  return manifest.data
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function refuseWithoutSpace(directory: string, manifest: FilesManifest, minimumFreeMiB: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory)
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20)
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0)
  const neededMiB = Math.ceil(bytes / 2 ** 20) + minimumFreeMiB
  if (freeMiB >= neededMiB) return
  throw new DialtoneError(
    'storage-failed',
    `Template version ${manifest.version} needs ${neededMiB} MiB in ${directory}, and ${freeMiB} MiB are free`,
  )
}

/** Under another name first, so that a version never loses one file after the other. */
async function removeFolder(folder: string, directory: string): Promise<void> {
  const workFolder = join(directory, `${workPrefix}removed-${folder.slice(directory.length + 1)}`)
  await rm(workFolder, { recursive: true, force: true })
  await rename(folder, workFolder).catch(ifMissing(undefined))
  await rm(workFolder, { recursive: true, force: true })
}

async function clearLeftOvers(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const name of await readdir(directory)) {
    if (name.startsWith(workPrefix)) await rm(join(directory, name), { recursive: true, force: true })
  }
}

async function writeSynced(path: string, content: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', 0o444)
  await file.writeFile(content)
  await file.sync()
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

/** Versions become paths: anything else is refused before a file is touched. */
function checkedVersion(version: string): string {
  if (templateVersionSchema.safeParse(version).success) return version
  throw new DialtoneError('invalid-input', `${JSON.stringify(version)} is not a template version`)
}

function ifMissing<T>(fallback: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return fallback
    throw error
  }
}
