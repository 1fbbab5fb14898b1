/** What the task of a move has found out. */
import { z } from 'zod'
import { departingSchema, departureReportSchema } from '../../model/agent-protocol/migration-orders.ts'
import { hostIdSchema, vmIdSchema } from '../../model/ids.ts'

export const migrationJournalSchema = z.object({
  vmId: vmIdSchema,
  /** Where it was asked to go; null: wherever it fits best. */
  wishedHostId: hostIdSchema.nullable(),
  /** Where its disks go, if they have to: a name or id; left out, the destination's own storage. */
  wishedStorage: z.string().optional(),
  /** The user's word for why it moves. */
  reason: z.string().default('moved by request'),
  departing: departingSchema.optional(),
  departure: departureReportSchema.optional(),
  beganAtMs: z.number().optional(),
  completedAtMs: z.number().optional(),
  /** By the clock of the destination. */
  resumedAtMs: z.number().nullable().optional(),
  /** What the task says when it is done. */
  summary: z.string().optional(),
})
export type MigrationJournal = z.infer<typeof migrationJournalSchema>
