/**
 * What agents observe about failures and recoveries, in the order in which it happened: the raw material of the ledger. Each record is
 * told in heartbeats until the leader has stored it. Times are the wall clock of the host that saw it.
 */
import { z } from 'zod'
import { imageIdSchema, vmIdSchema } from '../ids.ts'
import { failureCauseSchema, rungSchema } from './recovery-policy.ts'

const base = { vmId: vmIdSchema, at: z.iso.datetime() }
const life = { epoch: z.number().int(), incarnation: z.number().int() }
/** Whose probe: that of the machine's own host, or of another one that looks as well. */
const prober = { prober: z.enum(['own', 'other']) }

export const recoveryRecordSchema = z.discriminatedUnion('kind', [
  /** The probe looks at the machine from here on; `isCorrect`: what it saw first. */
  z.object({ kind: z.literal('probing-began'), ...base, ...prober, isCorrect: z.boolean() }),
  /** Nobody of this host looks any more (stopped, moved, agent ended in order). */
  z.object({ kind: z.literal('probing-ended'), ...base, ...prober }),
  /** The first answer that was not correct; the outage began between `lastCorrectAt` and `at`. */
  z.object({
    kind: z.literal('answer-lost'),
    ...base,
    ...prober,
    lastCorrectAt: z.iso.datetime().nullable(),
    detail: z.string(),
  }),
  /** The first correct answer after that; `lastWrongAt`: the newest one before that was not. */
  z.object({ kind: z.literal('answer-back'), ...base, ...prober, lastWrongAt: z.iso.datetime().nullable() }),
  z.object({
    kind: z.literal('failure-detected'),
    ...base,
    ...life,
    /** When it failed, as near as can be known; null when only the detection is known. */
    failedAt: z.iso.datetime().nullable(),
    cause: failureCauseSchema,
    detail: z.string(),
  }),
  /** It was decided what to do, and that begins. */
  z.object({ kind: z.literal('rung-begun'), ...base, ...life, rung: rungSchema, reason: z.string() }),
  /** Its vCPUs run. */
  z.object({
    kind: z.literal('machine-started'),
    ...base,
    ...life,
    rung: rungSchema.nullable(),
    imageId: imageIdSchema.nullable(),
    tookMs: z.number(),
  }),
  /** The service answers again, or the attempt has failed. */
  z.object({
    kind: z.literal('rung-ended'),
    ...base,
    ...life,
    rung: rungSchema,
    isCured: z.boolean(),
    tookMs: z.number(),
    detail: z.string(),
  }),
  /** It stopped, paused or started by order: not a failure. */
  z.object({ kind: z.literal('planned'), ...base, what: z.enum(['stopped', 'paused', 'resumed', 'started']) }),
])
export type RecoveryRecord = z.infer<typeof recoveryRecordSchema>

/** A record as its host numbers it: without gaps within a session, from 1. */
export const numberedRecordSchema = z.object({ sequence: z.number().int().min(1), record: recoveryRecordSchema })
export type NumberedRecord = z.infer<typeof numberedRecordSchema>
