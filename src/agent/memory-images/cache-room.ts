/** Room in the cache of memory images: within its budget, and with something left free on the file system. Pure. */
import type { ImageId } from '../../model/ids.ts'

/** What stays free on the file system for whoever else uses it. */
export const spareBytes = 64 * 2 ** 20

export type RoomQuestion = {
  readonly budgetBytes: number
  /** Of the file system. */
  readonly freeBytes: number
  /** Whole images, least recently used first. */
  readonly images: readonly { readonly imageId: ImageId; readonly usedBytes: number; readonly isPinned: boolean }[]
  /** Images that are being fetched or baked: what is there of them, and what they are expected to occupy. */
  readonly works: readonly { readonly usedBytes: number; readonly expectedBytes: number }[]
}

export type RoomPlan =
  | { readonly kind: 'fits'; readonly remove: readonly ImageId[] }
  /** Nothing is worth removing, since all together isn't enough. */
  | { readonly kind: 'full'; readonly detail: string }

/** Which images have to go so that those under way fit: as few as will do, least recently used first, never a pinned one. */
export function planRoom({ budgetBytes, freeBytes, images, works }: RoomQuestion): RoomPlan {
  const imageBytes = sumOf(images.map(({ usedBytes }) => usedBytes))
  const workBytes = sumOf(works.map(({ usedBytes, expectedBytes }) => Math.max(usedBytes, expectedBytes)))
  const comingBytes = sumOf(works.map(({ usedBytes, expectedBytes }) => Math.max(0, expectedBytes - usedBytes)))
  let shortageBytes = Math.max(imageBytes + workBytes - budgetBytes, comingBytes + spareBytes - freeBytes)
  const remove: ImageId[] = []
  for (const { imageId, usedBytes, isPinned } of images) {
    if (shortageBytes <= 0) break
    if (isPinned) continue
    remove.push(imageId)
    shortageBytes -= usedBytes
  }
  if (shortageBytes <= 0) return { kind: 'fits', remove }
  const pinnedBytes = sumOf(images.filter(({ isPinned }) => isPinned).map(({ usedBytes }) => usedBytes))
  const detail =
    `${toMiB(workBytes)} MiB are wanted; of a budget of ${toMiB(budgetBytes)} MiB, ${toMiB(imageBytes)} MiB are taken, ` +
    `${toMiB(pinnedBytes)} MiB of them by images in use; ${toMiB(freeBytes)} MiB are free on the file system, ` +
    `where ${toMiB(spareBytes)} MiB stay free`
  return { kind: 'full', detail }
}

export function toMiB(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20)
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}
