/**
 * The recovery ladder of one VM: what to try next after a failure. It begins where the shortest time to service is to be expected, never
 * leaves the loss that the owner declared, tries each rung a bounded number of times with growing waits, and ends by asking for a person.
 * Pure: same question, same step.
 */
import { countByRung, type LadderHistory, type RungAttempt, readHistory, waitBeforeMs } from './ladder-history.ts'
import { type Candidate, chanceAfter, findCheapestNext, noTries, type OrderRules, type Tries } from './ladder-order.ts'
import { describeEnd, describeTry } from './ladder-sentences.ts'
import { estimateRung, type LadderStatistics } from './ladder-statistics.ts'
import { type FailureCause, type Recovery, type Rung, rungSchema } from './recovery-policy.ts'

export type { RungAttempt } from './ladder-history.ts'

export type LadderQuestion = {
  readonly recovery: Recovery
  readonly cause: FailureCause
  /** Why a rung can't be tried now, in a sentence; rungs that are not named can. */
  readonly unavailable: Partial<Readonly<Record<Rung, string>>>
  /**
   * What was tried for this failure, oldest first. Attempts for earlier failures may stand before them, and should: a cure that lasted only
   * for a moment counts as none. See `attemptsToRemember`.
   */
  readonly attempts: readonly RungAttempt[]
  /** When this machine failed lately (the present failure included), whatever cured it. Failures on purpose are left out. */
  readonly failureTimesMs: readonly number[]
  readonly statistics: LadderStatistics
  readonly mayRebuildRoot: boolean
  readonly nowMs: number
}

export type LadderStep =
  | {
      readonly kind: 'try'
      readonly rung: Rung
      readonly waitMs: number
      /** After the wait, if it cures. */
      readonly expectedMs: number
      readonly probabilityOfCure: number
      readonly reason: string
    }
  | { readonly kind: 'needs-person'; readonly reason: string }

/** So often each rung may fail for one failure. A cure that lasted only for a moment is a failure too, but see `bootsAtMost`. */
export const triesAtMost: Readonly<Record<Rung, number>> = {
  'restart-in-guest': 2,
  'resume-here': 2,
  'resume-elsewhere': 1,
  boot: 2,
  'rebuild-root': 1,
}
/** A boot that cured for a moment may be repeated: what follows it is a person, who is slower. */
export const bootsAtMost = 8
/** More failures within ten minutes, whatever cured them, ask for a person. */
export const failuresAtMost = 8

/** What to do next. Asked again after each attempt that didn't cure, with that attempt at the end of `attempts`. */
export function nextStep(question: LadderQuestion): LadderStep {
  const { cause } = question
  const history = readHistory(question)
  const verdicts = rungSchema.options.map((rung) => judgeRung(question, history, rung))
  if (history.failuresLately > failuresAtMost) {
    const limit = `it failed ${history.failuresLately} times within 10 minutes`
    return { kind: 'needs-person', reason: describeEnd({ cause, tried: history.sinceCalm, obstacles: {}, limit }) }
  }
  const candidates = verdicts.filter((verdict) => verdict.kind === 'open')
  const rules = rulesOf(question, history, candidates)
  const next = findCheapestNext(candidates, rules)
  if (next === undefined) {
    const obstacles = Object.fromEntries(
      verdicts.flatMap((verdict) => (verdict.kind === 'impossible' ? [[verdict.rung, verdict.why]] : [])),
    )
    return { kind: 'needs-person', reason: describeEnd({ cause, tried: history.counted, obstacles, limit: undefined }) }
  }
  const { rung, estimate, triesBefore } = next.candidate
  const chance = chanceAfter(estimate, triesBefore)
  const waitMs = rules.waitMs(rung, noTries)
  const { counted: tried, failuresSinceCalm } = history
  return {
    kind: 'try',
    rung,
    waitMs,
    expectedMs: estimate.curedMs,
    probabilityOfCure: chance,
    reason: describeTry({ rung, chance, estimate, tried, waitMs, failuresSinceCalm }),
  }
}

/** What it would do if every attempt failed: the tries in their order, and what is said at the end. */
export function planLadder(question: LadderQuestion): readonly LadderStep[] {
  const step = nextStep(question)
  if (step.kind === 'needs-person') return [step]
  const beganAtMs = question.nowMs + step.waitMs
  const failedMs = estimateRung(question.statistics, question.cause, step.rung)?.failedMs ?? 0
  const endedAtMs = beganAtMs + failedMs
  const attempt: RungAttempt = { rung: step.rung, beganAtMs, endedAtMs, isCured: false }
  return [step, ...planLadder({ ...question, attempts: [...question.attempts, attempt], nowMs: endedAtMs })]
}

type Verdict =
  | ({ readonly kind: 'open' } & Candidate)
  /** It would be tried, but for the reason that the caller gave. */
  | { readonly kind: 'impossible'; readonly rung: Rung; readonly why: string }
  /** Outside of the declared loss, senseless for the cause, or tried often enough. */
  | { readonly kind: 'closed' }

function judgeRung(question: LadderQuestion, { counted }: LadderHistory, rung: Rung): Verdict {
  if (!isWithinDeclaredLoss(rung, question)) return { kind: 'closed' }
  const estimate = estimateRung(question.statistics, question.cause, rung)
  if (estimate === undefined) return { kind: 'closed' }
  const attempts = counted.filter((attempt) => attempt.rung === rung)
  const triesLeft = triesLeftOf(rung, attempts)
  if (triesLeft <= 0) return { kind: 'closed' }
  const why = question.unavailable[rung]
  if (why !== undefined) return { kind: 'impossible', rung, why }
  return { kind: 'open', rung, estimate, triesBefore: attempts.length, triesLeft }
}

function isWithinDeclaredLoss(rung: Rung, { recovery, mayRebuildRoot }: LadderQuestion): boolean {
  switch (rung) {
    case 'restart-in-guest':
    case 'boot':
      return true
    case 'resume-here':
    case 'resume-elsewhere':
      return recovery.mode !== 'boot'
    case 'rebuild-root':
      return mayRebuildRoot
  }
}

function triesLeftOf(rung: Rung, attempts: readonly RungAttempt[]): number {
  if (rung !== 'boot') return triesAtMost[rung] - attempts.length
  const failed = attempts.filter((attempt) => attempt.isCured !== true).length
  return Math.min(triesAtMost.boot - failed, bootsAtMost - attempts.length)
}

function rulesOf(
  { recovery }: LadderQuestion,
  { counted, sinceCalm, failuresSinceCalm }: LadderHistory,
  candidates: readonly Candidate[],
): OrderRules {
  const wasResumed = counted.some(({ rung }) => isResume(rung))
  const canResume = candidates.some(({ rung }) => isResume(rung))
  const attempts = countByRung(sinceCalm)
  return {
    isAllowed(rung, made) {
      if (rung === 'rebuild-root')
        return candidates.every((other) => other.rung === rung || made[other.rung] >= other.triesLeft)
      // Whoever declared that it resumes gets a boot only when that has failed, or can't be tried.
      if (rung !== 'boot' || recovery.mode === 'boot' || wasResumed || !canResume) return true
      return made['resume-here'] + made['resume-elsewhere'] > 0
    },
    waitMs: (rung, made) => waitBeforeMs(failuresSinceCalm, withOneMore(rung, attempts, made)),
  }
}

function isResume(rung: Rung): boolean {
  return rung === 'resume-here' || rung === 'resume-elsewhere'
}

/** All attempts up to the one that is considered, by rung. */
function withOneMore(rung: Rung, before: Tries, made: Tries): Tries {
  const sum = (one: Rung) => before[one] + made[one] + (one === rung ? 1 : 0)
  return {
    'restart-in-guest': sum('restart-in-guest'),
    'resume-here': sum('resume-here'),
    'resume-elsewhere': sum('resume-elsewhere'),
    boot: sum('boot'),
    'rebuild-root': sum('rebuild-root'),
  }
}
