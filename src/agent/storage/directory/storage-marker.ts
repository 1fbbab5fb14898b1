/**
 * The marker `dialtone-storage.json` at the top of a storage. It tells a mounted storage from the empty folder that is left under a
 * mount point, so that nobody takes an unmounted storage for one without volumes and without pills.
 */
import { chmod, mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { createExclusively, isErrno } from './durable-files.ts'
import { emptySlots } from './slots.ts'

const markerSchema = z.object({ formatVersion: z.literal(1), storageUuid: z.uuid() })

const markerName = 'dialtone-storage.json'

/** The uuid on the marker, undefined when there is none; `storage-failed` when it can't be read or isn't of a format known here. */
export async function readMarker(path: string): Promise<string | undefined> {
  const text = await readFile(join(path, markerName), 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined
    throw new DialtoneError('storage-failed', `The marker of the storage at ${path} cannot be read`, { cause: error })
  })
  if (text === undefined) return undefined
  try {
    return markerSchema.parse(JSON.parse(text)).storageUuid
  } catch (error) {
    throw new DialtoneError('storage-failed', `The marker of the storage at ${path} is damaged or of a newer format`, {
      cause: error,
    })
  }
}

/**
 * Makes an existing folder a storage, and returns its uuid: `freshUuid`, or that of the marker when it is one already. Several hosts
 * may do this at the same time. The marker comes last, so a storage that has one is complete. `storage-failed` when it can't be made.
 */
export async function prepareDirectoryStorage(path: string, freshUuid: string): Promise<string> {
  const present = await readMarker(path)
  if (present !== undefined) return present
  try {
    await makeTraversable(path)
    for (const folder of ['images', 'volumes']) {
      await mkdir(join(path, folder), { recursive: true })
      await makeTraversable(join(path, folder))
    }
    await createExclusively(join(path, 'slots'), join(path, `.slots.${freshUuid}`), {
      content: emptySlots(),
      mode: 0o600,
    })
    const content = `${JSON.stringify({ formatVersion: 1, storageUuid: freshUuid })}\n`
    const isOurs = await createExclusively(join(path, markerName), join(path, `.marker.${freshUuid}`), {
      content,
      mode: 0o644,
    })
    if (isOurs) return freshUuid
  } catch (error) {
    throw new DialtoneError('storage-failed', `${path} cannot be made a storage: it must be a writable folder`, {
      cause: error,
    })
  }
  return prepareDirectoryStorage(path, freshUuid)
}

/** Machines run under user ids of their own and must be able to walk to their disk, though not to look around. */
async function makeTraversable(folder: string): Promise<void> {
  const mode = (await stat(folder)).mode & 0o7777
  if ((mode & 0o011) !== 0o011) await chmod(folder, mode | 0o011)
}
