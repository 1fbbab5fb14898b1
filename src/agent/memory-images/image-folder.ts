/**
 * One memory image in a folder of its own: its two files, `seal.json` and `manifest.json`, which is written last. The seal says how the files
 * were when their bytes were last known to be right; the kernel moves a file's ctime at every change, and nothing can put it back.
 */
import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { chmod, lstat, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId } from '../../model/ids.ts'
import {
  type ImageFileName,
  imageFileNames,
  type MemoryImageManifest,
  memoryImageManifestSchema,
} from '../../model/recovery/memory-image.ts'

export type ImagePaths = Readonly<Record<ImageFileName, string>>

const fileSealSchema = z.object({ inode: z.string(), bytes: z.string(), mtimeNs: z.string(), ctimeNs: z.string() })
const sealSchema = z.object({
  formatVersion: z.literal(1),
  manifestSha256: z.string(),
  files: z.object({ memory: fileSealSchema, state: fileSealSchema }),
})
type FileSeal = z.infer<typeof fileSealSchema>
type FileSeals = Readonly<Record<ImageFileName, FileSeal>>

/** An image whose files were as sealed when it was opened. */
export type SealedImage = {
  readonly manifest: MemoryImageManifest
  readonly files: ImagePaths
  readonly seals: FileSeals
}

/** `usedBytes`: what the files occupy, which is less than their size where they are sparse. */
export type Inspection =
  | { readonly isWhole: true; readonly usedBytes: number }
  | { readonly isWhole: false; readonly damage: string }

export function imagePaths(folder: string): ImagePaths {
  return { memory: join(folder, 'memory'), state: join(folder, 'state') }
}

/**
 * Makes a work folder, whose files hold the bytes that the manifest tells, the image `folder`: there wholly or not at all, also after a power
 * cut. Throws `image-corrupt` when a file has another size.
 */
export async function publishImage(
  workFolder: string,
  folder: string,
  manifest: MemoryImageManifest,
): Promise<SealedImage> {
  const written = imagePaths(workFolder)
  for (const name of imageFileNames) await requireSize(written[name], manifest, name)
  for (const name of imageFileNames) {
    // What was in a machine's memory is for nobody but this host's agent, and nobody writes to it any more.
    await chmod(written[name], 0o400)
    await syncPath(written[name])
  }
  const seals = await sealFiles(written)
  await writeSealed(workFolder, manifest, seals)
  await syncPath(workFolder)
  // Something that stands there now is damaged, else it would have been used.
  await rm(folder, { recursive: true, force: true })
  await rename(workFolder, folder)
  await syncPath(dirname(folder))
  return { manifest, files: imagePaths(folder), seals }
}

/** The image in this folder as its seal describes it, or what is wrong with it. Its files may differ: `inspectImage` tells. */
export async function openImage(
  folder: string,
  imageId: ImageId,
): Promise<{ readonly image: SealedImage } | { readonly damage: string }> {
  const text = await readText(join(folder, manifestName))
  const sealText = await readText(join(folder, sealName))
  if (text === undefined || sealText === undefined) return { damage: 'it has no manifest: it was never whole' }
  const manifest = memoryImageManifestSchema.safeParse(parseJson(text))
  const seal = sealSchema.safeParse(parseJson(sealText))
  if (!manifest.success || !seal.success || seal.data.manifestSha256 !== sha256(text))
    return { damage: 'its manifest was altered' }
  if (manifest.data.id !== imageId) return { damage: `its manifest is that of ${manifest.data.id}` }
  return { image: { manifest: manifest.data, files: imagePaths(folder), seals: seal.data.files } }
}

/** Whether the files are those whose bytes were checked. Reads none of them. */
export async function inspectImage({ files, seals }: SealedImage): Promise<Inspection> {
  const found = await Promise.all(imageFileNames.map((name) => statOf(files[name])))
  let usedBytes = 0
  for (const [index, name] of imageFileNames.entries()) {
    const stats = found[index]
    if (stats === undefined) return { isWhole: false, damage: `its file ${name} is gone` }
    const difference = describeDifference(sealOf(stats), seals[name])
    if (difference !== undefined) return { isWhole: false, damage: `its file ${name} ${difference}` }
    usedBytes += Number(stats.blocks) * 512
  }
  return { isWhole: true, usedBytes }
}

/** What the files in a folder occupy; a missing one nothing. */
export async function usedBytesOf(files: ImagePaths): Promise<number> {
  const found = await Promise.all(imageFileNames.map((name) => statOf(files[name])))
  return found.reduce((sum, stats) => sum + Number(stats?.blocks ?? 0n) * 512, 0)
}

/** A folder that isn't there is fine. Under another name first, so that no image ever loses one file after the other. */
export async function removeFolder(folder: string, workFolder: string): Promise<void> {
  await rm(workFolder, { recursive: true, force: true })
  await rename(folder, workFolder).catch(ignoreMissing)
  await rm(workFolder, { recursive: true, force: true })
}

const manifestName = 'manifest.json'
const sealName = 'seal.json'

async function writeSealed(folder: string, manifest: MemoryImageManifest, files: FileSeals): Promise<void> {
  const text = JSON.stringify(manifest, null, 2)
  const seal: z.infer<typeof sealSchema> = { formatVersion: 1, manifestSha256: sha256(text), files }
  for (const [name, content] of [
    [sealName, JSON.stringify(seal)],
    [manifestName, text],
  ] as const) {
    await writeFile(join(folder, name), content, { mode: 0o400, flush: true })
  }
}

async function requireSize(path: string, { id, files }: MemoryImageManifest, name: ImageFileName): Promise<void> {
  const stats = await statOf(path)
  const wanted = files[name].bytes
  if (stats?.isFile() === true && Number(stats.size) === wanted) return
  const found = stats === undefined ? 'is missing' : `has ${stats.size} bytes`
  throw new DialtoneError('image-corrupt', `the file ${name} of the image ${id} ${found}, and should have ${wanted}`)
}

async function sealFiles(files: ImagePaths): Promise<FileSeals> {
  const seal = async (path: string) => sealOf(await lstat(path, { bigint: true }))
  return { memory: await seal(files.memory), state: await seal(files.state) }
}

function sealOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): FileSeal {
  return { inode: String(ino), bytes: String(size), mtimeNs: String(mtimeNs), ctimeNs: String(ctimeNs) }
}

function describeDifference(found: FileSeal, sealed: FileSeal): string | undefined {
  if (found.bytes !== sealed.bytes) return `has ${found.bytes} bytes instead of ${sealed.bytes}`
  if (found.inode !== sealed.inode) return 'was replaced'
  if (found.mtimeNs !== sealed.mtimeNs || found.ctimeNs !== sealed.ctimeNs) return 'was altered since it was checked'
  return undefined
}

async function statOf(path: string): Promise<BigIntStats | undefined> {
  return await lstat(path, { bigint: true }).catch(ignoreMissing)
}

async function readText(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(ignoreMissing)
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function syncPath(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}
