/**
 * A change that its owner tries out under a safety net: a snapshot with memory was taken before, the machine is watched for a stated time, and
 * it goes back when it gets worse, by itself or when its owner says so.
 */
import { z } from 'zod'
import { snapshotIdSchema, taskIdSchema } from '../ids.ts'

/** How the machine was, as far as anybody can tell. */
export const vmConditionSchema = z.object({
  at: z.iso.datetime(),
  service: z.enum(['unprobed', 'unknown', 'correct', 'wrong']),
  /** How often its process has died and been restarted since it was ordered. */
  crashes: z.number().int(),
  /** Of the boot that its guest is in; null when its guest doesn't tell. */
  bootId: z.string().nullable(),
  /** What was written to its disks since they last got a new layer. */
  writtenMiB: z.number().int().nullable(),
})
export type VmCondition = z.infer<typeof vmConditionSchema>

/** A command in the guest that says with exit code 0 that all is well. */
export const changeCheckSchema = z.string().min(1).max(1000)

export const vmChangeSchema = z.object({
  snapshotId: snapshotIdSchema,
  before: vmConditionSchema,
  checks: z.array(changeCheckSchema).max(8),
  watchedUntil: z.iso.datetime(),
  /** Goes back by itself when it gets worse. */
  isAuto: z.boolean(),
  begunBy: z.string(),
  /** Since when it is worse, and why: a sentence; null while it is not. */
  worse: z.object({ at: z.iso.datetime(), reason: z.string() }).nullable(),
  /** The task that takes it back. */
  revertTaskId: taskIdSchema.nullable(),
})
export type VmChange = z.infer<typeof vmChangeSchema>
