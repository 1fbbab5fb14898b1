/**
 * A storage that is a folder: local, or on a mounted shared file system. Nothing here trusts a cache or a memory of its own: each call
 * looks at the marker first, so that an unmounted storage is an error and never an empty storage.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, rename, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type VolumeId, volumeIdSchema } from '../../../model/ids.ts'
import type { Storage, StorageUsage, VolumeRequest } from '../storage.ts'
import { createCallGate } from './call-gate.ts'
import { claimFolder, readHighestClaim } from './claims.ts'
import { isErrno, syncPath } from './durable-files.ts'
import { createGuestStateCalls } from './guest-state.ts'
import { ensureImageCopy, refuseWithoutSpace } from './image-copies.ts'
import { createImageCalls } from './image-store.ts'
import { createLayerCalls } from './layers.ts'
import { createCloneCalls } from './link-volume.ts'
import { createManifestCalls } from './manifests.ts'
import { isThere } from './needed-layers.ts'
import { processesWithVolumeOpen } from './open-files.ts'
import { createBaseCalls } from './publish-base.ts'
import { readSlotBlock, writeSlotBlock } from './slots.ts'
import { createSnapshotCalls } from './snapshot-store.ts'
import { prepareDirectoryStorage, readMarker } from './storage-marker.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { compareVolume, makeVolume, openDisk, virtualBytesOf } from './volume-files.ts'
import { clearLeftOvers, nameOfWork, thisWorker, type Worker } from './work-in-progress.ts'

export type DirectoryStorageOptions = {
  /** An absolute path. The folder must exist: it may be a mount point, and is never made. */
  readonly path: string
  /** True when other hosts mount the same folder. */
  readonly shared: boolean
  /** Names this host in what it leaves on the storage. */
  readonly hostName: string
  /** The uuid on the storage's marker. Without it the first call takes what is there, or makes a marker; later calls expect that one. */
  readonly expectedUuid?: string
  /** For calls that read or write a few blocks; 5000 ms. */
  readonly callTimeoutMs?: number
  /** For making and deleting volumes, which copies and frees whole disks; 600,000 ms. */
  readonly longCallTimeoutMs?: number
  /** What stays free when an image or a volume is made; 64 MiB. */
  readonly minimumFreeMiB?: number
}

/** Does nothing until it is used. Every call is bounded, and throws `storage-failed` while the storage isn't there. */
export function createDirectoryStorage(options: DirectoryStorageOptions): Storage {
  assert(/^\/[^\0]*$/.test(options.path), 'the path of a storage is absolute')
  assert(/^[A-Za-z0-9._-]+$/.test(options.hostName), 'the name of a host is usable in a file name')
  const { callTimeoutMs = 5000, longCallTimeoutMs = 600_000, minimumFreeMiB = 64 } = options
  const place: StoragePlace = {
    root: options.path,
    imagesFolder: join(options.path, 'images'),
    volumesFolder: join(options.path, 'volumes'),
    minimumFreeMiB,
    longCallTimeoutMs,
    worker: rememberedOnceItSucceeds(() => clearedWorker(place, options.hostName)),
  }
  const folderOf = (volumeId: VolumeId) => volumeFolder(place, volumeId)
  const gate = createCallGate(options.path)
  const checkMarker = markerCheck(options.path, options.expectedUuid)
  const call: StorageCall = (name, work, timeoutMs = callTimeoutMs) =>
    gate(name, timeoutMs, async () => {
      await checkMarker()
      return work()
    })

  return {
    capabilities: { shared: options.shared, pills: options.shared },
    usage: () => call('usage', () => usageOf(place.root)),
    createVolume: (request) =>
      call('createVolume', () => createVolume(request, folderOf(request.volumeId), place), longCallTimeoutMs),
    deleteVolume: (volumeId) =>
      call('deleteVolume', () => deleteVolume(volumeId, folderOf(volumeId), place), longCallTimeoutMs),
    openVolume: (volumeId, format, userId) =>
      call('openVolume', async () => ({
        path: await openDisk(folderOf(volumeId), place.imagesFolder, { format, userId }),
      })),
    ...createLayerCalls(place, call),
    ...createImageCalls(place, call),
    ...createSnapshotCalls(place, call),
    ...createBaseCalls(place, call),
    ...createCloneCalls(place, call),
    ...createGuestStateCalls(place, call),
    ...createManifestCalls(place, call),
    listVolumes: () => call('listVolumes', () => listVolumes(place.volumesFolder)),
    claimVolume: (volumeId, ownership) =>
      call('claimVolume', async () => {
        const folder = folderOf(volumeId)
        await refuseMissing(folder, volumeId)
        await claimFolder(folder, join(place.volumesFolder, nameOfWork(await place.worker(), 'claim')), ownership)
      }),
    readClaim: (volumeId) => call('readClaim', () => readHighestClaim(folderOf(volumeId))),
    readSlot: (slot) => call('readSlot', () => readSlotBlock(join(place.root, 'slots'), slot)),
    writeSlot: (slot, content) => call('writeSlot', () => writeSlotBlock(join(place.root, 'slots'), slot, content)),
  }
}

function markerCheck(path: string, givenUuid: string | undefined): () => Promise<void> {
  let expectedUuid = givenUuid
  return async () => {
    const found = await readMarker(path)
    if (expectedUuid === undefined) expectedUuid = found ?? (await prepareDirectoryStorage(path, randomUUID()))
    else if (found !== expectedUuid) {
      const state =
        found === undefined ? 'has no marker: it is not mounted' : `has the marker of another storage, ${found}`
      throw new DialtoneError('storage-failed', `The storage ${expectedUuid} at ${path} ${state}`)
    }
  }
}

/** This process as it signs its work. What earlier processes of this host left half done is cleared at the same time. */
async function clearedWorker(place: StoragePlace, hostName: string): Promise<Worker> {
  const worker = await thisWorker(hostName)
  for (const folder of [place.imagesFolder, place.volumesFolder]) await clearLeftOvers(folder, worker)
  return worker
}

function rememberedOnceItSucceeds<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}

async function createVolume(request: VolumeRequest, folder: string, place: StoragePlace): Promise<void> {
  if (!Number.isInteger(request.sizeMiB) || request.sizeMiB < 1) {
    throw new DialtoneError('invalid-input', `A volume has a whole number of MiB, not ${request.sizeMiB}`)
  }
  if (request.base !== undefined && request.format !== 'qcow2') {
    throw new DialtoneError('invalid-input', 'Only a qcow2 volume can be made from a template')
  }
  const worker = await place.worker()
  if (!(await isThere(folder))) {
    const imageFileName =
      request.base === undefined
        ? undefined
        : await ensureImageCopy(request.base, {
            imagesFolder: place.imagesFolder,
            worker,
            cgroupDirectory: request.cgroupDirectory,
            minimumFreeMiB: place.minimumFreeMiB,
            timeoutMs: place.longCallTimeoutMs,
          })
    if (imageFileName !== undefined) await refuseSmaller(request.sizeMiB, join(place.imagesFolder, imageFileName))
    await refuseWithoutSpace(place.volumesFolder, place.minimumFreeMiB)
    const workFolder = join(place.volumesFolder, nameOfWork(worker, request.volumeId))
    await makeVolume(request, { folder, workFolder, imageFileName }, place.longCallTimeoutMs)
  }
  await compareVolume(request, folder)
}

async function refuseSmaller(sizeMiB: number, imagePath: string): Promise<void> {
  const imageMiB = Math.ceil((await virtualBytesOf(imagePath)) / 2 ** 20)
  if (sizeMiB >= imageMiB) return
  throw new DialtoneError(
    'invalid-input',
    `The volume's ${sizeMiB} MiB are less than the ${imageMiB} MiB of its template`,
  )
}

async function deleteVolume(volumeId: VolumeId, folder: string, place: StoragePlace): Promise<void> {
  if (!(await isThere(folder))) return
  const users = await processesWithVolumeOpen(folder, volumeId)
  if (users.length > 0) {
    throw new DialtoneError('in-use', `Volume ${volumeId} is open in process ${users.join(', ')} of this host`)
  }
  // Under another name first: a volume is there as a whole or not at all.
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), volumeId))
  try {
    await rename(folder, workFolder)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
  await syncPath(place.volumesFolder)
  await rm(workFolder, { recursive: true, force: true })
}

async function listVolumes(volumesFolder: string): Promise<VolumeId[]> {
  const names = await readdir(volumesFolder)
  return names.flatMap((name) => {
    const volumeId = volumeIdSchema.safeParse(name)
    return volumeId.success ? [volumeId.data] : []
  })
}

async function usageOf(path: string): Promise<StorageUsage> {
  const { blocks, bavail, bsize } = await statfs(path)
  return { totalMiB: Math.floor((blocks * bsize) / 2 ** 20), freeMiB: Math.floor((bavail * bsize) / 2 ** 20) }
}

async function refuseMissing(folder: string, volumeId: VolumeId): Promise<void> {
  if (!(await isThere(folder))) throw new DialtoneError('not-found', `There is no volume ${volumeId} at ${folder}`)
}
