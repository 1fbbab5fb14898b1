/** A disk that is copied to another storage while its machine goes on; and what is left of a volume where it is not any more. */
import { z } from 'zod'
import { storageIdSchema, taskIdSchema, volumeIdSchema } from '../ids.ts'
import type { VmSpec } from '../vm.ts'

/** Until the owner of the disk has changed it is what lies on `fromStorageId`, and the copy belongs to the record that names it. */
export const diskCopySchema = z.object({
  volumeId: volumeIdSchema,
  fromStorageId: storageIdSchema,
  toStorageId: storageIdSchema,
  /** The template that the copy lies on, as its original does; null: it has all of its content itself. */
  baseVersion: z.string().nullable(),
})
export type DiskCopy = z.infer<typeof diskCopySchema>

/** Deleted as soon as a host that has the storage answers, and nothing can have it open any more. */
export const discardedVolumeSchema = z.object({
  volumeId: volumeIdSchema,
  storageId: storageIdSchema,
  discardedAt: z.iso.datetime(),
  reason: z.string(),
  /** Works with it until its end; null: nobody does. */
  taskId: taskIdSchema.nullable().default(null),
})
export type DiscardedVolume = z.infer<typeof discardedVolumeSchema>

/** The disks with these copies in their place. */
export function withCopies(
  disks: VmSpec['disks'],
  copies: readonly Pick<DiskCopy, 'volumeId' | 'toStorageId'>[],
): VmSpec['disks'] {
  return disks.map((disk) => {
    const copy = copies.find(({ volumeId }) => volumeId === disk.volumeId)
    return copy === undefined ? disk : { ...disk, storageId: copy.toStorageId }
  })
}
