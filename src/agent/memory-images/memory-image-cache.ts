/**
 * This host's memory images, in a folder that only its agent uses: what processes map, and never network storage. An image is there wholly or
 * not at all, and as it was when its bytes were checked, or it isn't used.
 */
import { statfs } from 'node:fs/promises'
import { runCommand } from '../../linux/run-command.ts'
import { systemClock } from '../../linux/system-clock.ts'
import type { Clock } from '../../model/clock.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId, VolumeId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import { imageFileNames, type MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { Storage } from '../storage/storage.ts'
import { toMiB } from './cache-room.ts'
import { type ImagePaths, inspectImage } from './image-folder.ts'
import { createImageShelf, type ImageShelf, type ShelvedImage } from './image-shelf.ts'
import { createImageWorks, type ImageWork, type ImageWorks } from './image-works.ts'

export type CachedMemoryImage = {
  readonly manifest: MemoryImageManifest
  readonly files: ImagePaths
  /** What the files occupy, which is less than their size where they are sparse. */
  readonly usedBytes: number
}

export type ImageWish = {
  readonly storage: Pick<Storage, 'fetchImage'>
  readonly volumeId: VolumeId
  readonly imageId: ImageId
  /** What it will occupy, where that is known: room is made beforehand then, or it is refused before anything is copied. */
  readonly sizeMiB?: number
}

export type CacheUsage = {
  readonly budgetMiB: number
  readonly usedMiB: number
  readonly pinnedMiB: number
  /** Of the file system. */
  readonly freeMiB: number
}

export type MemoryImageCache = {
  /**
   * Fetches the image unless it is here; calls at the same time share one copy. Images that are not pinned are removed to make room, least
   * recently used first; `cache-full` when that isn't enough. Errors of the storage come out as they are. Nothing is left on failure.
   */
  ensure(wish: ImageWish): Promise<CachedMemoryImage>
  /** Where the two files of an image are to be made that is baked here; `sizeMiB` as with `ensure`. What an earlier attempt left is removed. */
  begin(imageId: ImageId, sizeMiB?: number): Promise<ImagePaths>
  /**
   * Makes what was baked an image: the caller has summed its bytes. `image-corrupt` when a file has another size than the manifest says,
   * `cache-full` when it doesn't fit; then it is still to be abandoned. Doing it again is fine.
   */
  finish(manifest: MemoryImageManifest): Promise<CachedMemoryImage>
  /** A missing one is fine. */
  abandon(imageId: ImageId): Promise<void>
  /** The image if it is here and as it was when its bytes were checked. Reads none of them: two calls to the kernel. */
  get(imageId: ImageId): Promise<CachedMemoryImage | undefined>
  /** Whether it is here and every byte is as its manifest says. One that isn't is removed. Takes seconds a gigabyte, in a process of its own. */
  verify(imageId: ImageId): Promise<boolean>
  /** A process uses it, or it is here on purpose: it is never removed to make room. Counted: each pin needs its own unpin. */
  pin(imageId: ImageId): void
  unpin(imageId: ImageId): void
  /** A missing one is fine. `in-use` while it is fetched or baked, or pinned unless forced; processes that map it keep what they have. */
  remove(imageId: ImageId, how?: { readonly isForced: boolean }): Promise<void>
  /** Least recently used first. */
  list(): Promise<readonly (CachedMemoryImage & { readonly isPinned: boolean })[]>
  usage(): Promise<CacheUsage>
}

export type MemoryImageCacheOptions = {
  /** Made when it is missing; on a local disk or in memory. Only one process uses it. */
  readonly directory: string
  readonly budgetMiB: number
  /** The system's clock unless given. */
  readonly clock?: Clock
  readonly logger: Logger
}

type Parts = {
  readonly shelf: ImageShelf
  readonly works: ImageWorks
  readonly pins: Map<ImageId, number>
  readonly fetches: Map<ImageId, Promise<CachedMemoryImage>>
}

const sumTimeoutMs = 600_000

export function createMemoryImageCache(options: MemoryImageCacheOptions): MemoryImageCache {
  const { directory, budgetMiB, logger, clock = systemClock } = options
  const pins = new Map<ImageId, number>()
  const isPinned = (imageId: ImageId) => pins.has(imageId)
  const shelf = createImageShelf(directory, logger)
  const works = createImageWorks({ directory, budgetBytes: budgetMiB * 2 ** 20, shelf, isPinned, clock, logger })
  const parts: Parts = { shelf, works, pins, fetches: new Map() }
  return {
    ensure: (wish) => ensureImage(wish, parts),
    begin: (imageId, sizeMiB) => beginBake(imageId, sizeMiB, parts),
    finish: (manifest) => finishBake(manifest, parts),
    async abandon(imageId) {
      const work = works.get(imageId)
      if (work?.kind === 'bake') await works.end(work)
    },
    async get(imageId) {
      const image = await shelf.find(imageId)
      return image === undefined ? undefined : toCached(image)
    },
    verify: (imageId) => verifyImage(imageId, parts),
    pin: (imageId) => void pins.set(imageId, (pins.get(imageId) ?? 0) + 1),
    unpin(imageId) {
      const left = (pins.get(imageId) ?? 0) - 1
      if (left > 0) pins.set(imageId, left)
      else pins.delete(imageId)
    },
    remove: (imageId, how) => removeImage(imageId, how?.isForced ?? false, parts),
    list: async () =>
      (await shelf.all()).map((image) => ({ ...toCached(image), isPinned: isPinned(image.manifest.id) })),
    async usage() {
      const images = await shelf.all()
      const { bavail, bsize } = await statfs(directory)
      const sum = (some: readonly ShelvedImage[]) => toMiB(some.reduce((bytes, { usedBytes }) => bytes + usedBytes, 0))
      return {
        budgetMiB,
        usedMiB: sum(images),
        pinnedMiB: sum(images.filter(({ manifest }) => isPinned(manifest.id))),
        freeMiB: Math.floor((bavail * bsize) / 2 ** 20),
      }
    },
  }
}

function ensureImage(wish: ImageWish, parts: Parts): Promise<CachedMemoryImage> {
  const { imageId } = wish
  const running = parts.fetches.get(imageId)
  if (running !== undefined) return running
  const fetch = obtain(wish, parts).finally(() => parts.fetches.delete(imageId))
  parts.fetches.set(imageId, fetch)
  return fetch
}

async function obtain(
  { storage, volumeId, imageId, sizeMiB }: ImageWish,
  { shelf, works }: Parts,
): Promise<CachedMemoryImage> {
  const found = await shelf.find(imageId)
  if (found !== undefined) return toCached(found)
  if (works.get(imageId) !== undefined) throw new DialtoneError('in-use', `The memory image ${imageId} is being baked`)
  const work = await works.begin({ imageId, kind: 'fetch', expectedBytes: (sizeMiB ?? 0) * 2 ** 20 })
  try {
    const manifest = await storage.fetchImage(volumeId, imageId, work.files)
    if (manifest.id !== imageId)
      throw new DialtoneError('image-corrupt', `For the memory image ${imageId} came ${manifest.id}`)
    await works.fitIn(work)
    return toCached(await shelf.put(work.folder, manifest))
  } catch (error) {
    throw asCacheFull(error, work)
  } finally {
    await works.end(work)
  }
}

/** A copy that broke off on a full file system failed for lack of room, whatever the copier calls it. */
function asCacheFull(error: unknown, { imageId, refusal, folder }: ImageWork): unknown {
  if (error instanceof DialtoneError && error.code === 'cache-full') return error
  if (refusal !== undefined) return new DialtoneError('cache-full', refusal.message, { cause: error })
  if (!isOutOfSpace(error)) return error
  return new DialtoneError('cache-full', `The file system ran full while ${imageId} was copied to ${folder}`, {
    cause: error,
  })
}

function isOutOfSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return /ENOSPC|No space left on device/.test(error.message) || isOutOfSpace(error.cause)
}

async function beginBake(imageId: ImageId, sizeMiB: number | undefined, parts: Parts): Promise<ImagePaths> {
  const { works, fetches, shelf } = parts
  if (fetches.has(imageId)) throw new DialtoneError('in-use', `The memory image ${imageId} is being fetched`)
  if ((await shelf.find(imageId)) !== undefined)
    throw new DialtoneError('in-use', `The memory image ${imageId} is here already`)
  const earlier = works.get(imageId)
  if (earlier !== undefined) await works.end(earlier)
  return (await works.begin({ imageId, kind: 'bake', expectedBytes: (sizeMiB ?? 0) * 2 ** 20 })).files
}

async function finishBake(manifest: MemoryImageManifest, { shelf, works }: Parts): Promise<CachedMemoryImage> {
  const work = works.get(manifest.id)
  if (work?.kind !== 'bake') {
    const done = await shelf.find(manifest.id)
    if (done !== undefined) return toCached(done)
    throw new DialtoneError('wrong-state', `No baking of the memory image ${manifest.id} was begun`)
  }
  await works.fitIn(work)
  const image = await shelf.put(work.folder, manifest)
  await works.end(work)
  return toCached(image)
}

async function verifyImage(imageId: ImageId, { shelf }: Parts): Promise<boolean> {
  const image = await shelf.find(imageId)
  if (image === undefined) return false
  for (const name of imageFileNames) {
    const line = await runCommand('sha256sum', ['--binary', '--', image.files[name]], {
      timeoutMs: sumTimeoutMs,
      errorCode: 'storage-failed',
    })
    if (line.startsWith(image.manifest.files[name].sha256)) continue
    await shelf.discard(image, `its file ${name} has other bytes than its manifest says`)
    return false
  }
  // What changed while it was read is noticed here.
  return (await shelf.find(imageId)) !== undefined && (await inspectImage(image)).isWhole
}

async function removeImage(imageId: ImageId, isForced: boolean, { shelf, works, pins }: Parts): Promise<void> {
  const work = works.get(imageId)
  if (work !== undefined) {
    const what = work.kind === 'fetch' ? 'fetched' : 'baked'
    throw new DialtoneError('in-use', `The memory image ${imageId} is being ${what}`)
  }
  if (pins.has(imageId) && !isForced) throw new DialtoneError('in-use', `The memory image ${imageId} is in use`)
  await shelf.remove(imageId)
}

function toCached({ manifest, files, usedBytes }: ShelvedImage): CachedMemoryImage {
  return { manifest, files, usedBytes }
}
