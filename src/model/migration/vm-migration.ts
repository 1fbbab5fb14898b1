/**
 * A machine that moves while it runs. As long as the record is open, two hosts may hold the machine: nothing that needs it to be dead is
 * decided before both are known to have let go.
 */
import { z } from 'zod'
import { hostIdSchema, sessionIdSchema, taskIdSchema } from '../ids.ts'

import { diskCopySchema } from './disk-copy.ts'

/** `precopy`: while it runs, and what changed meanwhile again. `stop-and-copy`: it stands still from the first byte to the last. */
export const migrationMethodSchema = z.enum(['precopy', 'stop-and-copy'])
export type MigrationMethod = z.infer<typeof migrationMethodSchema>

export const vmMigrationSchema = z.object({
  /** The task that moves it, and that ends the record. */
  taskId: taskIdSchema,
  sourceHostId: hostIdSchema,
  sourceEpoch: z.number().int(),
  destinationHostId: hostIdSchema,
  /** Of the life at the destination. */
  epoch: z.number().int(),
  /** The session of the destination's agent that it was begun with: another one has nothing of it. */
  session: sessionIdSchema,
  /** `moving`: the source owns it. `switched`: the destination does, and the source never runs it again. */
  phase: z.enum(['moving', 'switched']),
  /** Disks that go with it. The copies belong to this record until its owner has changed. */
  disks: z.array(diskCopySchema).default([]),
  startedAt: z.iso.datetime(),
  reason: z.string(),
})
export type VmMigration = z.infer<typeof vmMigrationSchema>
