/**
 * Memory images beside the root volume that they belong to, `volumes/ID/images/IMAGE/{memory, state, manifest.json}`. An image appears by a
 * rename when it is whole and durable, and goes the same way; what its bytes must be is in its manifest.
 */
import { lstat, mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type ImageId, imageIdSchema, type VolumeId } from '../../../model/ids.ts'
import {
  type ImageFileName,
  imageFileNames,
  type MemoryImageManifest,
  memoryImageManifestSchema,
} from '../../../model/recovery/memory-image.ts'
import type { ImageFiles, Storage } from '../storage.ts'
import { isErrno, syncPath, writeDurably } from './durable-files.ts'
import { frozenVolumes } from './frozen-volumes.ts'
import { refuseWithoutSpace } from './image-copies.ts'
import { isThere, manifestName, markNeeded, type NeederPlace, namesIn, unmarkNeeded } from './needed-layers.ts'
import { copySparse } from './sparse-copy.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

type ImagePlace = { readonly imageId: ImageId; readonly rootVolumeId: VolumeId }

export type ImageCalls = Pick<Storage, 'storeImage' | 'listImages' | 'fetchImage' | 'removeImage'>

export function createImageCalls(place: StoragePlace, call: StorageCall): ImageCalls {
  const { longCallTimeoutMs } = place
  return {
    storeImage: (manifest, files) => call('storeImage', () => storeImage(manifest, files, place), longCallTimeoutMs),
    listImages: (volumeId) => call('listImages', () => listImages(volumeId, place)),
    fetchImage: (rootVolumeId, imageId, into) =>
      call('fetchImage', () => fetchImage({ rootVolumeId, imageId }, into, place), longCallTimeoutMs),
    removeImage: (rootVolumeId, imageId) =>
      call('removeImage', () => removeImage({ rootVolumeId, imageId }, place), longCallTimeoutMs),
  }
}

async function storeImage(manifest: MemoryImageManifest, files: ImageFiles, place: StoragePlace): Promise<void> {
  const image = imagePlaceOf(manifest)
  const folder = volumeFolder(place, image.rootVolumeId)
  if (!(await isThere(folder))) throw new DialtoneError('not-found', `There is no volume ${image.rootVolumeId}`)
  const present = await readImage(image, place)
  if (present !== undefined) {
    if (isDeepStrictEqual(present, memoryImageManifestSchema.parse(manifest))) return
    throw new DialtoneError('wrong-state', `Image ${manifest.id} exists already and is another`)
  }
  const volumes = await frozenVolumes(manifest.disks, place)
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), manifest.id))
  try {
    for (const { folder: its, layerId } of volumes) await markNeeded(its, layerId, neederOf(image))
    await refuseWithoutSpace(place.volumesFolder, (await usedMiB(files)) + place.minimumFreeMiB)
    await mkdir(workFolder, { mode: 0o700 })
    const into = { memory: join(workFolder, 'memory'), state: join(workFolder, 'state') }
    await copyFiles(manifest, { from: files, into }, place)
    await writeDurably(join(workFolder, manifestName), `${JSON.stringify(manifest)}\n`)
    await syncPath(workFolder)
    await putInPlace(workFolder, image, place)
  } catch (error) {
    if ((await readImage(image, place)) === undefined)
      for (const its of volumes) await unmarkNeeded(its.folder, neederOf(image))
    throw error
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** Something damaged under its name makes room. */
async function putInPlace(workFolder: string, image: ImagePlace, place: StoragePlace): Promise<void> {
  const imageFolder = folderOf(image, place)
  await mkdir(dirname(imageFolder), { recursive: true, mode: 0o700 })
  if (await isThere(imageFolder)) await takeAway(imageFolder, image, place)
  await rename(workFolder, imageFolder)
  await syncPath(dirname(imageFolder))
  await syncPath(dirname(dirname(imageFolder)))
}

async function listImages(rootVolumeId: VolumeId, place: StoragePlace): Promise<readonly MemoryImageManifest[]> {
  const images: MemoryImageManifest[] = []
  for (const name of await namesIn(join(volumeFolder(place, rootVolumeId), 'images'))) {
    const imageId = imageIdSchema.safeParse(name)
    const manifest = imageId.success ? await readImage({ imageId: imageId.data, rootVolumeId }, place) : undefined
    if (manifest !== undefined) images.push(manifest)
  }
  return images.sort((left, right) => Date.parse(left.capturedAt) - Date.parse(right.capturedAt))
}

async function fetchImage(image: ImagePlace, into: ImageFiles, place: StoragePlace): Promise<MemoryImageManifest> {
  const folder = folderOf(image, place)
  if (!(await isThere(folder))) {
    throw new DialtoneError('not-found', `Volume ${image.rootVolumeId} has no image ${image.imageId}`)
  }
  // A file of that name may be mapped by a process: it keeps its own, and a new one is made.
  for (const name of imageFileNames) await rm(into[name], { force: true })
  const manifest = await readImage(image, place)
  if (manifest === undefined) {
    throw new DialtoneError('image-corrupt', `Image ${image.imageId} in ${folder} is not whole`)
  }
  const from = { memory: join(folder, 'memory'), state: join(folder, 'state') }
  try {
    await copyFiles(manifest, { from, into }, place)
  } catch (error) {
    for (const name of imageFileNames) await rm(into[name], { force: true })
    throw error
  }
  return manifest
}

async function removeImage(image: ImagePlace, place: StoragePlace): Promise<void> {
  const imageFolder = folderOf(image, place)
  const manifest = await readManifest(imageFolder)
  if (await isThere(imageFolder)) await takeAway(imageFolder, image, place)
  const volumeIds = new Set([image.rootVolumeId, ...(manifest?.disks ?? []).map(({ volumeId }) => volumeId)])
  for (const volumeId of volumeIds) await unmarkNeeded(volumeFolder(place, volumeId), neederOf(image))
}

/** Under another name first: an image is there as a whole or not at all. */
async function takeAway(imageFolder: string, { imageId }: ImagePlace, place: StoragePlace): Promise<void> {
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), imageId))
  try {
    await rename(imageFolder, workFolder)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
  await syncPath(dirname(imageFolder))
  await rm(workFolder, { recursive: true, force: true })
}

async function copyFiles(
  { id, files }: MemoryImageManifest,
  { from, into }: { readonly from: ImageFiles; readonly into: ImageFiles },
  { longCallTimeoutMs }: StoragePlace,
): Promise<void> {
  const corrupt = (name: ImageFileName, what: string) =>
    new DialtoneError('image-corrupt', `The ${name} of image ${id} ${what}`)
  for (const name of imageFileNames) {
    if ((await sizeOf(from[name])) !== files[name].bytes) throw corrupt(name, 'is missing or of another size')
  }
  const pairs = imageFileNames.map((name) => ({ source: from[name], target: into[name] }))
  const copies = await copySparse(pairs, longCallTimeoutMs)
  for (const [index, name] of imageFileNames.entries()) {
    if (!isDeepStrictEqual(copies[index], files[name])) throw corrupt(name, 'fails its checksum')
  }
}

/** The manifest of a whole image: every file is there in its full size. Undefined for anything else. */
async function readImage(image: ImagePlace, place: StoragePlace): Promise<MemoryImageManifest | undefined> {
  const folder = folderOf(image, place)
  const manifest = await readManifest(folder)
  if (manifest === undefined) return undefined
  const isIt = manifest.id === image.imageId && manifest.disks[0]?.volumeId === image.rootVolumeId
  const hasSize = async (name: ImageFileName) => (await sizeOf(join(folder, name))) === manifest.files[name].bytes
  return isIt && (await hasSize('memory')) && (await hasSize('state')) ? manifest : undefined
}

async function readManifest(folder: string): Promise<MemoryImageManifest | undefined> {
  const text = await readFile(join(folder, manifestName), 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  })
  try {
    return memoryImageManifestSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Undefined for what isn't a regular file. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const status = await lstat(path)
    return status.isFile() ? status.size : undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function usedMiB(files: ImageFiles): Promise<number> {
  let blocks = 0
  for (const name of imageFileNames) blocks += (await stat(files[name]).catch(() => undefined))?.blocks ?? 0
  return (blocks * 512) / 2 ** 20
}

function imagePlaceOf({ id, disks: [root] }: MemoryImageManifest): ImagePlace {
  if (root === undefined) throw new DialtoneError('invalid-input', `Image ${id} has no disk`)
  return { imageId: id, rootVolumeId: root.volumeId }
}

function neederOf({ imageId, rootVolumeId }: ImagePlace): NeederPlace {
  return { id: imageId, besideVolumeId: rootVolumeId }
}

function folderOf({ imageId, rootVolumeId }: ImagePlace, place: StoragePlace): string {
  return join(volumeFolder(place, rootVolumeId), 'images', imageIdSchema.parse(imageId))
}
