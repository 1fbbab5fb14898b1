/** Snapshots of a machine that are taken by themselves, and how many of them are kept. */
import { z } from 'zod'
import { snapshotKindSchema } from './snapshot.ts'

export const snapshotScheduleSchema = z.object({
  everySeconds: z
    .number()
    .int()
    .min(60)
    .max(366 * 86_400),
  /** The newest so many; older ones that the schedule has taken go, unless they are protected. */
  keep: z.number().int().min(1).max(32),
  kind: snapshotKindSchema,
  setBy: z.string(),
  setAt: z.iso.datetime(),
})
export type SnapshotSchedule = z.infer<typeof snapshotScheduleSchema>
