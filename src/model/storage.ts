/** A storage as the cluster knows it. A shared one is the same on all hosts that have it; a local one belongs to one host. */
import { z } from 'zod'
import { hostIdSchema, nameSchema, storageIdSchema, vmIdSchema, volumeIdSchema } from './ids.ts'
import { diskFormatSchema } from './machine-order.ts'
import { volumeMoveSchema } from './volume-move.ts'

export const storageSpecSchema = z.object({
  id: storageIdSchema,
  name: nameSchema,
  kind: z.literal('directory'),
  path: z.string().regex(/^\/[^\0\n]*$/, 'must be an absolute path'),
  shared: z.boolean(),
  /** The host whose disk it is on; null for a shared one. */
  hostId: hostIdSchema.nullable(),
  createdAt: z.iso.datetime(),
})
export type StorageSpec = z.infer<typeof storageSpecSchema>

export const volumeSpecSchema = z.object({
  id: volumeIdSchema,
  storageId: storageIdSchema,
  format: diskFormatSchema,
  sizeMiB: z.number().int(),
  /** Version of the template whose root disk it is an overlay of. */
  baseVersion: z.string().nullable(),
  vmId: vmIdSchema,
  /** It moves to another storage, or what moved it has not been cleared away yet. */
  move: volumeMoveSchema.nullable().default(null),
  createdAt: z.iso.datetime(),
})
export type VolumeSpec = z.infer<typeof volumeSpecSchema>
