/**
 * How often each rung has cured each kind of failure, and how long it took: what the ladder's choice rests on. A few numbers a pair,
 * however many recoveries there were, so that it can be stored and sent.
 */
import { z } from 'zod'
import { type FailureCause, failureCauseSchema, type Rung, rungSchema } from './recovery-policy.ts'

/** Sums in which the newest attempt counts 1 and each older one a twentieth less than the one after it: about the last 20 attempts. */
const tallySchema = z
  .object({
    attempts: z.number().min(0).max(20),
    cures: z.number().min(0).max(20),
    /** How long the attempts took that cured, and those that did not. */
    curedMs: z.number().min(0),
    failedMs: z.number().min(0),
  })
  .refine(({ attempts, cures }) => cures <= attempts, 'has more cures than attempts')
type Tally = z.infer<typeof tallySchema>

export const ladderStatisticsSchema = z.partialRecord(failureCauseSchema, z.partialRecord(rungSchema, tallySchema))
export type LadderStatistics = Readonly<z.infer<typeof ladderStatisticsSchema>>

export const emptyStatistics: LadderStatistics = {}

export type RungOutcome = {
  readonly cause: FailureCause
  readonly rung: Rung
  readonly isCured: boolean
  /** From its beginning until the service answered or the attempt was given up. Waits before it don't count. */
  readonly tookMs: number
}

export type RungEstimate = {
  readonly probabilityOfCure: number
  /** How long it takes when it cures, and when it doesn't. */
  readonly curedMs: number
  readonly failedMs: number
  /** How many measured attempts it rests on, newer ones counting more; 0: on the prior alone. */
  readonly attempts: number
}

const fading = 0.95
/** A clock that jumped, or a host that slept, teaches nothing more than this. */
const longestMs = 3_600_000
/** The prior counts as much as so many attempts: a handful of measured ones outweighs it. */
const priorAttempts = 2

/**
 * How long a rung takes. Resume here: 88 to 138 ms from the kill to the first answer, measured with a waiting process and with a new one.
 * Boot: 2 to 3 s for a small kernel and 9 to 12 s for a general one, measured under TCG. Resume elsewhere: a release, a placement and a
 * resume, a heartbeat or two between them. The other two, and all times of failed attempts, are assumptions until they are measured.
 */
const priorTimes: Readonly<Record<Rung, { readonly curedMs: number; readonly failedMs: number }>> = {
  'restart-in-guest': { curedMs: 500, failedMs: 2_000 },
  'resume-here': { curedMs: 150, failedMs: 1_000 },
  'resume-elsewhere': { curedMs: 1_500, failedMs: 10_000 },
  boot: { curedMs: 5_000, failedMs: 60_000 },
  'rebuild-root': { curedMs: 30_000, failedMs: 120_000 },
}

/**
 * How likely a rung cures: assumptions, to order the rungs before anything is measured. A rung that isn't named makes no sense for that
 * cause: a service can be restarted only in a guest that still runs, nothing resumes on a dead host, and a new root disk needs a storage.
 * Elsewhere needs another host with room, so it is less sure than here, unless what is lost is lost here.
 */
const priorCures: Readonly<Record<FailureCause, Partial<Readonly<Record<Rung, number>>>>> = {
  'process-died': { 'resume-here': 0.95, 'resume-elsewhere': 0.9, boot: 0.9, 'rebuild-root': 0.6 },
  'guest-panicked': { 'resume-here': 0.9, 'resume-elsewhere': 0.85, boot: 0.85, 'rebuild-root': 0.6 },
  'guest-hung': { 'resume-here': 0.9, 'resume-elsewhere': 0.85, boot: 0.85, 'rebuild-root': 0.6 },
  'wrong-answers': {
    'restart-in-guest': 0.6,
    'resume-here': 0.85,
    'resume-elsewhere': 0.8,
    boot: 0.8,
    'rebuild-root': 0.6,
  },
  'storage-lost': { 'resume-here': 0.2, 'resume-elsewhere': 0.8, boot: 0.5 },
  'host-died': { 'resume-elsewhere': 0.9, boot: 0.85, 'rebuild-root': 0.5 },
  unknown: { 'resume-here': 0.7, 'resume-elsewhere': 0.7, boot: 0.7, 'rebuild-root': 0.5 },
}

const nothing: Tally = { attempts: 0, cures: 0, curedMs: 0, failedMs: 0 }

/** The statistics with one more outcome in them. Times are taken between 0 and an hour. */
export function noteOutcome(
  statistics: LadderStatistics,
  { cause, rung, isCured, tookMs }: RungOutcome,
): LadderStatistics {
  const before = statistics[cause]?.[rung] ?? nothing
  const ms = Number.isFinite(tookMs) ? Math.min(Math.max(0, tookMs), longestMs) : longestMs
  const tally: Tally = {
    attempts: faded(before.attempts) + 1,
    cures: faded(before.cures) + (isCured ? 1 : 0),
    curedMs: faded(before.curedMs) + (isCured ? ms : 0),
    failedMs: faded(before.failedMs) + (isCured ? 0 : ms),
  }
  return { ...statistics, [cause]: { ...statistics[cause], [rung]: tally } }
}

/** What is to be expected of a rung: the measured attempts and the prior, mixed by how many there are. Undefined: it makes no sense. */
export function estimateRung(statistics: LadderStatistics, cause: FailureCause, rung: Rung): RungEstimate | undefined {
  const prior = priorCures[cause][rung]
  if (prior === undefined) return undefined
  const measured = statistics[cause]?.[rung] ?? nothing
  const times = priorTimes[rung]
  const attempts = priorAttempts + measured.attempts
  const cures = priorAttempts * prior + measured.cures
  const priorFailures = priorAttempts * (1 - prior)
  const failures = priorFailures + measured.attempts - measured.cures
  return {
    probabilityOfCure: cures / attempts,
    curedMs: (priorAttempts * prior * times.curedMs + measured.curedMs) / cures,
    failedMs: (priorFailures * times.failedMs + measured.failedMs) / failures,
    attempts: measured.attempts,
  }
}

/** Rounded down, so that the sums stay short when they are written, and below their bound. */
function faded(sum: number): number {
  return Math.floor(sum * fading * 10_000) / 10_000
}
