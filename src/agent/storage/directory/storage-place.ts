/** Where a directory storage keeps what, and who works on it: what its parts have to know of it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type VolumeId, volumeIdSchema } from '../../../model/ids.ts'
import type { Worker } from './work-in-progress.ts'

export type StoragePlace = {
  readonly root: string
  readonly imagesFolder: string
  readonly volumesFolder: string
  readonly minimumFreeMiB: number
  readonly longCallTimeoutMs: number
  readonly worker: () => Promise<Worker>
}

/** Bounds a call and checks first that the storage is there. */
export type StorageCall = <T>(name: string, work: () => Promise<T>, timeoutMs?: number) => Promise<T>

/** Ids are checked where they enter; here they become paths, so a wrong one is a defect of ours. */
export function volumeFolder({ volumesFolder }: StoragePlace, volumeId: VolumeId): string {
  assert(volumeIdSchema.safeParse(volumeId).success, `${volumeId} is not the id of a volume`)
  return join(volumesFolder, volumeId)
}
