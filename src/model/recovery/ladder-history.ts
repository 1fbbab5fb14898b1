/**
 * What the ladder makes of a machine's past: which attempts count against the present failure, how often it failed without a calm in
 * between, and how long it waits therefore before the next attempt.
 */
import { type Rung, rungSchema } from './recovery-policy.ts'

export type RungAttempt = {
  readonly rung: Rung
  readonly beganAtMs: number
  /** Null while it is under way. */
  readonly endedAtMs: number | null
  readonly isCured: boolean | null
}

export type LadderHistory = {
  /** The attempts since the last cure that held, oldest first: those that failed, and those that cured only for a moment. */
  readonly counted: readonly RungAttempt[]
  /** All attempts of the present unrest: since the last calm. */
  readonly sinceCalm: readonly RungAttempt[]
  /** Failures of the present unrest, this one included. */
  readonly failuresSinceCalm: number
  /** Failures within the last ten minutes. */
  readonly failuresLately: number
}

/** A machine that ran for this long after its cure, and then fails, has a new failure. */
const lastingCureMs = 30_000
/** So long without a failure or an attempt forgives everything before. Longer than any wait. */
export const calmMs = 120_000
/** From so many failures in one unrest on, only a calm shows that a cure has held. */
const failuresUntilWary = 4
const latelyMs = 10 * 60_000
const rememberedAttempts = 50
/** Before the first attempt, and before each further one of an unrest that repeats something. */
const waitsMs = [0, 250, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000] as const

type Past = {
  readonly attempts: readonly RungAttempt[]
  readonly failureTimesMs: readonly number[]
  readonly nowMs: number
}

export function readHistory({ attempts, failureTimesMs, nowMs }: Past): LadderHistory {
  const beganAtMs = unrestBeganAtMs(attempts, failureTimesMs)
  const failuresSinceCalm = failureTimesMs.filter((atMs) => atMs >= beganAtMs).length
  const sinceCalm = attempts.filter((attempt) => attempt.beganAtMs >= beganAtMs)
  const holdsAfterMs = failuresSinceCalm < failuresUntilWary ? lastingCureMs : calmMs
  const lastCure = sinceCalm.findLastIndex((attempt) => heldMs(attempt, failureTimesMs, nowMs) >= holdsAfterMs)
  return {
    counted: sinceCalm.slice(lastCure + 1),
    sinceCalm,
    failuresSinceCalm,
    failuresLately: failureTimesMs.filter((atMs) => nowMs - atMs < latelyMs).length,
  }
}

/**
 * The attempts that a later question can still depend on: what whoever asks the ladder has to keep, also of failures that are cured. Older
 * ones may be forgotten.
 */
export function attemptsToRemember(
  attempts: readonly RungAttempt[],
  failureTimesMs: readonly number[],
): readonly RungAttempt[] {
  const beganAtMs = unrestBeganAtMs(attempts, failureTimesMs)
  return attempts.filter((attempt) => attempt.beganAtMs >= beganAtMs).slice(-rememberedAttempts)
}

/**
 * The wait before an attempt, from the failures and the repeated attempts of the unrest, whichever are more. The first recovery begins at
 * once, and so does the first attempt of each further rung; a machine that fails again and again waits longer each time.
 */
export function waitBeforeMs(failuresSinceCalm: number, attemptsOf: Readonly<Record<Rung, number>>): number {
  const repeats = rungSchema.options.reduce((sum, rung) => sum + Math.max(0, attemptsOf[rung] - 1), 0)
  const index = Math.max(0, failuresSinceCalm - 1, repeats)
  return waitsMs[Math.min(index, waitsMs.length - 1)] ?? 0
}

/** How often each rung is among the attempts. */
export function countByRung(attempts: readonly RungAttempt[]): Readonly<Record<Rung, number>> {
  const count = (rung: Rung) => attempts.filter((attempt) => attempt.rung === rung).length
  return {
    'restart-in-guest': count('restart-in-guest'),
    'resume-here': count('resume-here'),
    'resume-elsewhere': count('resume-elsewhere'),
    boot: count('boot'),
    'rebuild-root': count('rebuild-root'),
  }
}

/** The beginning of the newest chain of failures and attempts without a calm in it. */
function unrestBeganAtMs(attempts: readonly RungAttempt[], failureTimesMs: readonly number[]): number {
  const spans = [
    ...failureTimesMs.map((atMs) => ({ beganAtMs: atMs, endedAtMs: atMs })),
    ...attempts.map(({ beganAtMs, endedAtMs }) => ({ beganAtMs, endedAtMs: endedAtMs ?? beganAtMs })),
  ].toSorted((one, other) => other.endedAtMs - one.endedAtMs)
  let begin = spans[0]?.beganAtMs ?? 0
  for (const span of spans) {
    if (begin - span.endedAtMs >= calmMs) break
    begin = Math.min(begin, span.beganAtMs)
  }
  return begin
}

/** How long the machine served after the attempt; 0 when the attempt didn't cure it. */
function heldMs(attempt: RungAttempt, failureTimesMs: readonly number[], nowMs: number): number {
  if (attempt.isCured !== true) return 0
  const curedAtMs = attempt.endedAtMs ?? attempt.beganAtMs
  const later = failureTimesMs.filter((atMs) => atMs > curedAtMs)
  return Math.min(nowMs, ...later) - curedAtMs
}
