/** How a VM is brought back after a failure, as its owner declared it, and the rungs of the ladder that lead there. */
import { z } from 'zod'

/**
 * `boot`: the disk as it is. `warm`: memory and root disk of the instant when it was first up and serving; loses what was written to the
 * root disk since, nothing of the data volumes. `checkpoint`: memory and all disks of the last checkpoint; loses what came after it.
 */
export const recoverySchema = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('boot') }),
  z.strictObject({ mode: z.literal('warm') }),
  z.strictObject({
    mode: z.literal('checkpoint'),
    everySeconds: z.number().int().min(10).max(86_400),
    /** So many checkpoints are kept; older ones go. */
    keep: z.number().int().min(1).max(8).default(2),
  }),
])
export type Recovery = z.infer<typeof recoverySchema>

/** The steps of a recovery, cheapest first. */
export const rungSchema = z.enum(['restart-in-guest', 'resume-here', 'resume-elsewhere', 'boot', 'rebuild-root'])
export type Rung = z.infer<typeof rungSchema>

/** What failed, at the level where it was found. */
export const failureCauseSchema = z.enum([
  'process-died',
  'guest-panicked',
  'guest-hung',
  'wrong-answers',
  'storage-lost',
  'host-died',
  'unknown',
])
export type FailureCause = z.infer<typeof failureCauseSchema>
