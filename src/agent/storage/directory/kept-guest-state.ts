/**
 * What firmware and TPM remembered at a snapshot: `volumes/ID/snapshots/SNAPSHOT.state/`, with the names of `guest-state.ts`. The TPM's folder
 * is written to by the machine's own user, so nothing in it is followed to anywhere else.
 */
import { chown, mkdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { SnapshotId, VolumeId } from '../../../model/ids.ts'
import type { SnapshotStorage } from '../snapshot-storage.ts'
import { withDisk } from './disk-chain.ts'
import { syncPath, writeDurably } from './durable-files.ts'
import { tpmName, variablesName } from './guest-state.ts'
import { isThere, namesIn } from './needed-layers.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

type GuestStateCalls = Pick<SnapshotStorage, 'keepGuestState' | 'restoreGuestState'>

/** Firmware's variables are half a MiB, a TPM's state less. */
const largestBytes = 16 * 2 ** 20

export function createKeptStateCalls(place: StoragePlace, call: StorageCall): GuestStateCalls {
  return {
    keepGuestState: (volumeId, snapshotId) => call('keepGuestState', () => keepGuestState(volumeId, snapshotId, place)),
    restoreGuestState: (volumeId, snapshotId) =>
      call('restoreGuestState', () => restoreGuestState(volumeId, snapshotId, place)),
  }
}

/** `folder` is the volume's. Nothing kept is fine. */
export async function removeKeptState(folder: string, snapshotId: SnapshotId): Promise<void> {
  await rm(keptFolder(folder, snapshotId), { recursive: true, force: true })
}

async function keepGuestState(volumeId: VolumeId, snapshotId: SnapshotId, place: StoragePlace): Promise<void> {
  const folder = volumeFolder(place, volumeId)
  if (!(await isThere(folder))) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
  const path = keptFolder(folder, snapshotId)
  const workFolder = join(place.volumesFolder, nameOfWork(await place.worker(), snapshotId))
  try {
    await mkdir(join(workFolder, tpmName), { recursive: true, mode: 0o700 })
    const names = [variablesName, ...(await namesIn(join(folder, tpmName))).map((name) => join(tpmName, name))]
    for (const name of names) {
      const content = await readIfThere(join(folder, name))
      if (content !== undefined) await writeDurably(join(workFolder, name), content)
    }
    for (const written of [join(workFolder, tpmName), workFolder]) await syncPath(written)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // Of an attempt that came to nothing.
    await removeKeptState(folder, snapshotId)
    await rename(workFolder, path)
    await syncPath(dirname(path))
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** File by file, each as a whole: there is no moment in which firmware or TPM would find nothing and begin anew. */
async function restoreGuestState(volumeId: VolumeId, snapshotId: SnapshotId, place: StoragePlace): Promise<void> {
  const folder = volumeFolder(place, volumeId)
  const kept = keptFolder(folder, snapshotId)
  if (!(await isThere(kept)))
    throw new DialtoneError('not-found', `What firmware and TPM remembered at snapshot ${snapshotId} is not there`)
  const workPath = join(place.volumesFolder, nameOfWork(await place.worker(), snapshotId))
  const replace = async (name: string) => {
    const path = join(folder, name)
    const content = await readIfThere(join(kept, name))
    if (content === undefined) return rm(path, { recursive: true, force: true })
    const { uid, gid } = await stat(dirname(path))
    await writeDurably(workPath, content)
    await chown(workPath, uid, gid)
    await rename(workPath, path)
  }
  try {
    // Whoever opens the variables is given them; the TPM's files are their folder's owner's.
    await replace(variablesName)
    const [before, present] = [await namesIn(join(kept, tpmName)), await namesIn(join(folder, tpmName))]
    if (before.length > 0) await mkdir(join(folder, tpmName), { recursive: true, mode: 0o700 })
    for (const name of new Set([...before, ...present])) await replace(join(tpmName, name))
    if (before.length + present.length > 0) await syncPath(join(folder, tpmName))
    await syncPath(folder)
  } finally {
    await rm(workPath, { force: true })
  }
}

/** What firmware remembered then; undefined when it was nothing. `folder` is the volume's. */
export function readKeptVariables(folder: string, snapshotId: SnapshotId): Promise<Uint8Array | undefined> {
  return readIfThere(join(keptFolder(folder, snapshotId), variablesName))
}

function keptFolder(folder: string, snapshotId: SnapshotId): string {
  return join(folder, 'snapshots', `${snapshotId}.state`)
}

/** Undefined when there is none: the TPM renames its files while it works. */
async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await withDisk(path, async (file) => {
      const { size } = await file.stat()
      if (size > largestBytes) throw new DialtoneError('image-corrupt', `${path} is larger than any such state`)
      return file.readFile()
    })
  } catch (error) {
    if (error instanceof DialtoneError && error.code === 'not-found') return undefined
    throw error
  }
}
