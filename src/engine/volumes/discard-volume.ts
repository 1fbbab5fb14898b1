/** What is left of a volume where it is not any more is written down in the very transaction that makes it so, and deleted later. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId, TaskId, VolumeId } from '../../model/ids.ts'
import type { DiscardedVolume } from '../../model/migration/disk-copy.ts'
import type { Write } from '../../store/store.ts'
import { type Leader, put } from '../leader.ts'
import { keys } from '../state/keys.ts'

const lookAgainMs = 100

export type VolumePlace = { readonly volumeId: VolumeId; readonly storageId: StorageId }

/** It goes as soon as a host that has the storage answers. */
export function discard(leader: Leader, { volumeId, storageId }: VolumePlace, reason: string): Write {
  const discardedAt = leader.clock.wallTime().toISOString()
  return put(keys.discard(storageId, volumeId), {
    volumeId,
    storageId,
    discardedAt,
    reason,
    taskId: null,
  } satisfies DiscardedVolume)
}

/** A volume that only this task needs, before there is any: whatever becomes of the task, it goes when that has ended. */
export function discardAfter(
  leader: Leader,
  { volumeId, storageId }: VolumePlace,
  task: { readonly id: TaskId; readonly reason: string },
): Write {
  const discardedAt = leader.clock.wallTime().toISOString()
  const { id: taskId, reason } = task
  return put(keys.discard(storageId, volumeId), {
    volumeId,
    storageId,
    discardedAt,
    reason,
    taskId,
  } satisfies DiscardedVolume)
}

/**
 * Resolves when nothing is left there any more, and no order to delete it is under way: then it may be a place for the volume again. Throws
 * what is left there when that takes too long.
 */
export async function untilClear(
  leader: Leader,
  { volumeId, storageId }: VolumePlace,
  { signal, withinMs }: { readonly signal: AbortSignal; readonly withinMs: number },
): Promise<void> {
  const key = keys.discard(storageId, volumeId)
  const givesUpAtMs = leader.clock.bootTimeMs() + withinMs
  while (leader.index.state().discards.has(key)) {
    signal.throwIfAborted()
    const { name = storageId } = leader.index.state().storages.get(storageId) ?? {}
    if (leader.clock.bootTimeMs() > givesUpAtMs)
      throw new DialtoneError('conflict', `what is left of ${volumeId} on ${name} could not be deleted yet`)
    await leader.clock.sleep(lookAgainMs, signal)
  }
}
