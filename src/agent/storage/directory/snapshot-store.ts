/**
 * Snapshots beside a volume, `volumes/ID/snapshots/SNAPSHOT.json`, each written in one step after its layers were marked as needed; and the
 * layers that they leave: see `let-go-layers.ts`.
 */
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type LayerId, type SnapshotId, snapshotIdSchema, type VolumeId } from '../../../model/ids.ts'
import { type Snapshot, snapshotSchema } from '../../../model/snapshots/snapshot.ts'
import type { ClosedMerge, SnapshotStorage } from '../snapshot-storage.ts'
import { layerFileName } from './current-layer.ts'
import { giveTo, layerUnder, readChain, readLink } from './disk-chain.ts'
import { isErrno, syncPath, writeDurably } from './durable-files.ts'
import { frozenVolumes } from './frozen-volumes.ts'
import { refuseWithoutSpace } from './image-copies.ts'
import { createKeptStateCalls, removeKeptState } from './kept-guest-state.ts'
import { markLetGo } from './let-go-layers.ts'
import { isThere, markNeeded, namesIn, snapshotPath, unmarkNeeded } from './needed-layers.ts'
import { processesWithOpenFile } from './open-files.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

export function createSnapshotCalls(place: StoragePlace, call: StorageCall): SnapshotStorage {
  return {
    ...createKeptStateCalls(place, call),
    storeSnapshot: (volumeId, snapshot) => call('storeSnapshot', () => storeSnapshot(volumeId, snapshot, place)),
    listSnapshots: (volumeId) => call('listSnapshots', () => listSnapshots(volumeFolder(place, volumeId))),
    removeSnapshot: (volumeId, snapshotId) => call('removeSnapshot', () => removeSnapshot(volumeId, snapshotId, place)),
    letGoOfLayers: (volumeId, layerIds) =>
      call('letGoOfLayers', async () => {
        const folder = volumeFolder(place, volumeId)
        const names = await namesIn(folder)
        await markLetGo(
          folder,
          layerIds.filter((layerId) => names.includes(layerFileName(layerId))),
        )
      }),
    mergeClosedLayers: (volumeId, merge) =>
      call('mergeClosedLayers', () => mergeClosedLayers(volumeId, merge, place), place.longCallTimeoutMs),
  }
}

async function storeSnapshot(volumeId: VolumeId, snapshot: Snapshot, place: StoragePlace): Promise<void> {
  const folder = volumeFolder(place, volumeId)
  if (!(await isThere(folder))) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
  const path = snapshotPath(folder, snapshot.id)
  const present = await readSnapshot(path)
  if (present !== undefined) {
    if (isDeepStrictEqual(present, snapshotSchema.parse(snapshot))) return
    throw new DialtoneError('wrong-state', `Snapshot ${snapshot.id} exists already and is another`)
  }
  const needer = { id: snapshot.id, besideVolumeId: volumeId }
  const volumes = await frozenVolumes(snapshot.disks, place)
  const workPath = join(place.volumesFolder, nameOfWork(await place.worker(), snapshot.id))
  try {
    for (const { folder: its, layerId } of volumes) await markNeeded(its, layerId, needer)
    await writeDurably(workPath, `${JSON.stringify(snapshot)}\n`)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await rename(workPath, path)
    await syncPath(dirname(path))
    await syncPath(folder)
  } catch (error) {
    if ((await readSnapshot(path)) === undefined) for (const its of volumes) await unmarkNeeded(its.folder, needer)
    throw error
  } finally {
    await rm(workPath, { force: true })
  }
}

async function listSnapshots(folder: string): Promise<readonly Snapshot[]> {
  const snapshots: Snapshot[] = []
  for (const name of await namesIn(join(folder, 'snapshots'))) {
    const snapshotId = snapshotIdSchema.safeParse(name.replace(/\.json$/, ''))
    const found = snapshotId.success ? await readSnapshot(snapshotPath(folder, snapshotId.data)) : undefined
    if (found !== undefined) snapshots.push(found)
  }
  return snapshots.sort((left, right) => Date.parse(left.takenAt) - Date.parse(right.takenAt))
}

/** Its layers are let go of while they are still needed: a crash in between leaves nothing that nobody knows of. */
async function removeSnapshot(volumeId: VolumeId, snapshotId: SnapshotId, place: StoragePlace): Promise<void> {
  const folder = volumeFolder(place, volumeId)
  const path = snapshotPath(folder, snapshotId)
  const snapshot = await readSnapshot(path)
  const disks = snapshot?.disks ?? []
  for (const disk of disks) {
    const its = volumeFolder(place, disk.volumeId)
    if (disk.layerId !== null && (await isThere(its))) await markLetGo(its, [disk.layerId])
  }
  if (await isThere(path)) {
    await rm(path, { force: true })
    await syncPath(dirname(path))
  }
  await removeKeptState(folder, snapshotId)
  const volumeIds = new Set([volumeId, ...disks.map((disk) => disk.volumeId)])
  for (const each of volumeIds)
    await unmarkNeeded(volumeFolder(place, each), { id: snapshotId, besideVolumeId: volumeId })
}

async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  })
  try {
    return snapshotSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** A new overlay on the layer takes along what differs from the lower one, and then takes the layer's place. */
async function mergeClosedLayers(
  volumeId: VolumeId,
  { into, on, cgroupDirectory }: ClosedMerge,
  place: StoragePlace,
): Promise<void> {
  const folder = volumeFolder(place, volumeId)
  const path = join(folder, layerFileName(into))
  const between = await layersBetween(folder, { into, on }, place)
  if (between.length === 0) return
  const users = await processesWithOpenFile(`/volumes/${volumeId}/${basename(path)}`)
  if (users.length > 0)
    throw new DialtoneError('in-use', `Layer ${into} of volume ${volumeId} is open in process ${users.join(', ')}`)
  await refuseWithoutSpace(place.volumesFolder, (await usedMiB(folder, [into, ...between])) + place.minimumFreeMiB)
  await markLetGo(folder, between)
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), into))
  const workPath = join(workFolder, basename(path))
  const tool = { timeoutMs: place.longCallTimeoutMs, cgroupDirectory, errorCode: 'storage-failed' } as const
  await mkdir(workFolder, { mode: 0o700 })
  try {
    const basePath = join(folder, layerFileName(on))
    await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', path, workPath], tool)
    await runCommand('qemu-img', ['rebase', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', basePath, workPath], tool)
    // The relative name fits the folder that the file is going to lie in.
    const named = ['-u', '-f', 'qcow2', '-F', 'qcow2', '-b', basename(basePath), workPath]
    await runCommand('qemu-img', ['rebase', '-q', ...named], tool)
    await giveTo((await readLink(path)).userId, workPath)
    await syncPath(workPath)
    await rename(workPath, path)
    await syncPath(folder)
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** What lies above `on` and below `into`, from the upper one down; nothing when the one lies on the other. */
async function layersBetween(
  folder: string,
  { into, on }: Pick<ClosedMerge, 'into' | 'on'>,
  place: StoragePlace,
): Promise<readonly LayerId[]> {
  const { own } = await readChain(join(folder, layerFileName(into)), place.imagesFolder)
  const between: LayerId[] = []
  for (const link of own) {
    const under = layerUnder(link)
    if (under === on) return between
    if (under === null) break
    between.push(under)
  }
  throw new DialtoneError('wrong-state', `Layer ${into} does not lie on ${on ?? 'the first layer'}`)
}

async function usedMiB(folder: string, layerIds: readonly LayerId[]): Promise<number> {
  let bytes = 0
  for (const layerId of layerIds) bytes += (await readLink(join(folder, layerFileName(layerId)))).usedBytes
  return bytes / 2 ** 20
}
