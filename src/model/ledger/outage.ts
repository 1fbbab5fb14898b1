/** What the ledger says about a service: its condition at any time, and its outages. Times are wall clocks as ISO, durations milliseconds. */
import { z } from 'zod'
import { failureCauseSchema, rungSchema } from '../recovery/recovery-policy.ts'
import { ledgerServiceIdSchema } from './ledger-entry.ts'

/**
 * `degraded`: the probers disagree, or answers were lost but no failure was found. `planned`: somebody asked for it to be away.
 * `unobserved`: nobody looked, or nobody knows; counted neither as up nor as down.
 */
export const serviceConditionSchema = z.enum(['up', 'degraded', 'down', 'planned', 'unobserved'])
export type ServiceCondition = z.infer<typeof serviceConditionSchema>

/** Times are milliseconds since 1970, the end is not part of it. The intervals of a service follow each other without a gap. */
export type ConditionInterval = {
  readonly fromMs: number
  readonly toMs: number
  readonly condition: ServiceCondition
  /** While down: the drill that this belongs to. */
  readonly drillId: string | null
}

const partMs = z.number().min(0).nullable()

/**
 * How long it took to reach each milestone from the one before it, in the order in which they were reached: the failure, its detection, the
 * decision what to do, the proof that the old machine is dead (null where none was needed), its vCPUs running, the first correct answer.
 * Null where a milestone or the one before it isn't known, so the parts never sum to more than the outage.
 */
export const outagePartsSchema = z.object({
  detectMs: partMs,
  decideMs: partMs,
  fenceMs: partMs,
  startMs: partMs,
  serveMs: partMs,
})
export type OutageParts = z.infer<typeof outagePartsSchema>

export const outageAttemptSchema = z.object({
  rung: rungSchema,
  beganAt: z.iso.datetime(),
  /** Null: nobody has told how it ended. */
  isCured: z.boolean().nullable(),
  tookMs: z.number().nullable(),
  detail: z.string(),
})
export type OutageAttempt = z.infer<typeof outageAttemptSchema>

const instant = z.iso.datetime()

export const outageSchema = z.object({
  /** Made of the service and the first sign of the failure: the same however often it is computed. */
  id: z.string().regex(/^out-[a-z0-9]{8}-[a-z0-9]{1,11}$/, 'must be an id like out-1a2b3c4d-mf3k2j1a'),
  service: ledgerServiceIdSchema,
  serviceName: z.string(),
  cause: failureCauseSchema,
  causeDetail: z.string(),
  /** Best estimate: when it failed where that is known, else the middle of the bounds. */
  beganAt: instant,
  /** Last correct answer (null: none is known) and first sign of the failure. */
  beganBetween: z.tuple([instant.nullable(), instant]),
  /** Last sign of the failure and first correct answer; null while it goes on. */
  endedBetween: z.tuple([instant, instant]).nullable(),
  /** `planned`: somebody stopped or deleted it while it was down. `unobserved`: nobody looked any more. */
  endedBy: z.enum(['answer', 'planned', 'unobserved']).nullable(),
  /** From `beganAt` to the first correct answer; null while it goes on. */
  durationMs: z.number().min(0).nullable(),
  /** It lasted at least and at most so long, by the bounds. */
  durationAtLeastMs: z.number().min(0).nullable(),
  durationAtMostMs: z.number().min(0).nullable(),
  parts: outagePartsSchema,
  attempts: z.array(outageAttemptSchema),
  drillId: z.string().nullable(),
  planned: z.literal(false),
})
export type Outage = z.infer<typeof outageSchema>
