/**
 * What a machine's firmware and TPM remember, beside its root disk: `firmware-variables.fd` and `tpm/`. It goes wherever the disk is seen and
 * is deleted with it; whoever may write to the disk may write to it, and nobody else.
 */
import { chmod, chown, copyFile, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { VolumeId } from '../../../model/ids.ts'
import type { GuestStateFiles, GuestStateRequest, Storage } from '../storage.ts'
import { giveTo } from './disk-chain.ts'
import { isErrno, linkUnlessThere, syncPath } from './durable-files.ts'
import { isThere } from './needed-layers.ts'
import { type StorageCall, type StoragePlace, volumeFolder } from './storage-place.ts'
import { nameOfWork } from './work-in-progress.ts'

export const variablesName = 'firmware-variables.fd'
export const tpmName = 'tpm'

export function createGuestStateCalls(place: StoragePlace, call: StorageCall): Pick<Storage, 'openGuestState'> {
  return {
    openGuestState: (volumeId, request) => call('openGuestState', () => openGuestState(volumeId, request, place)),
  }
}

async function openGuestState(
  volumeId: VolumeId,
  { variables, hasTpm, userId }: GuestStateRequest,
  place: StoragePlace,
): Promise<GuestStateFiles> {
  const folder = volumeFolder(place, volumeId)
  if (!(await isThere(folder))) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
  const variablesPath = join(folder, variablesName)
  const tpmDirectory = join(folder, tpmName)
  if (variables !== null) {
    if (!(await isThere(variablesPath))) await makeVariables(variables, variablesPath, place)
    await giveTo(userId, variablesPath)
  }
  if (hasTpm) await openTpmFolder(tpmDirectory, userId)
  return { variablesPath: variables === null ? null : variablesPath, tpmDirectory: hasTpm ? tpmDirectory : null }
}

/** As a whole or not at all: firmware that finds half of its variables starts with none. */
async function makeVariables(from: string, path: string, place: StoragePlace): Promise<void> {
  const workPath = join(place.volumesFolder, nameOfWork(await place.worker(), 'variables'))
  try {
    await copyFile(from, workPath)
    await chmod(workPath, 0o600)
    await syncPath(workPath)
    await linkUnlessThere(workPath, path)
  } finally {
    await rm(workPath, { force: true })
  }
}

/** The TPM writes its files itself; only the folder has to be there. */
async function openTpmFolder(path: string, userId: number): Promise<void> {
  if (!(await isThere(path))) {
    const workPath = `${path}.new`
    await mkdir(workPath, { recursive: true, mode: 0o700 })
    await rename(workPath, path).catch((error: unknown) => {
      if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error
    })
    await syncPath(dirname(path))
  }
  await chown(path, userId, userId)
}
