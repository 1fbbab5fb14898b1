/** Cleared slots in memory, which outlive agents as long as it is kept. */
import type { StorageId } from '../../model/ids.ts'
import type { ClearedSlots } from './cleared-slots.ts'

export function clearedSlotsInMemory(present = new Set<StorageId>()): ClearedSlots {
  return {
    left: [...present],
    async add(storageId) {
      present.add(storageId)
    },
    async remove(storageId) {
      present.delete(storageId)
    },
  }
}
