/** A volume that moves to another storage, as its record says while that goes on: nobody else moves it, or its machine, meanwhile. */
import { z } from 'zod'
import { hostIdSchema, storageIdSchema, taskIdSchema } from './ids.ts'

export const volumeMoveSchema = z.object({
  /** The task that moves it, and that ends the record. */
  taskId: taskIdSchema,
  fromStorageId: storageIdSchema,
  toStorageId: storageIdSchema,
  /** The host that copies it. */
  hostId: hostIdSchema,
  /** Of its machine's life, whose process copies it; null: the machine is stopped, and does not start before it is over. */
  epoch: z.number().int().nullable(),
  /** The template that the copy lies on; null: it has all of its content itself. */
  baseVersion: z.string().nullable(),
  /** `copying`: it is what lies at `fromStorageId`. `switched`: what lies at `toStorageId`, whatever its host has heard of that. */
  phase: z.enum(['copying', 'switched']),
  startedAt: z.iso.datetime(),
})
export type VolumeMove = z.infer<typeof volumeMoveSchema>
