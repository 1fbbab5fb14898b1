/**
 * What a row of answers says of a service: whether it answers correctly, and between which instants that changed. Pure. Answers may come in
 * another order than they were asked for, so each is judged by when its check began.
 */
import type { CheckAnswer } from './service-check.ts'

export type ProbeState = {
  /** `unknown` until the first answer after the start. */
  readonly verdict: 'unknown' | 'correct' | 'wrong'
  /** When the newest correct answer was received. */
  readonly lastCorrectAt: Date | null
  /** When the first answer was missed of those that have been missing since. */
  readonly firstWrongAt: Date | null
  /** Checks in a row that were not answered correctly, counted once in the probe's interval. */
  readonly failuresInARow: number
  /** Why the newest answer wasn't correct; empty when it was. */
  readonly reason: string
  readonly latencyMs: number | null
}

export type ProbeChange =
  /** The first verdict since `start`. */
  | { readonly kind: 'began'; readonly at: Date; readonly isCorrect: boolean; readonly detail: string }
  /** The first correct answer of all. Follows `began` or goes before `answer-back`. */
  | { readonly kind: 'serving'; readonly at: Date; readonly latencyMs: number }
  /** The outage began after `lastCorrectAt` and not after `at`. */
  | { readonly kind: 'answer-lost'; readonly at: Date; readonly lastCorrectAt: Date | null; readonly detail: string }
  /** So many failures in a row as the probe allows. Told once, and only of a service that answered since `start` or `hurry`. */
  | { readonly kind: 'service-failed'; readonly at: Date; readonly detail: string }
  /** The first correct answer was received at `at`; at `lastWrongAt` the service was still asked in vain. */
  | { readonly kind: 'answer-back'; readonly at: Date; readonly lastWrongAt: Date | null }

/** A check that was begun. Numbers rise. */
export type BegunCheck = {
  readonly number: number
  readonly begunAt: Date
  readonly begunAtMs: number
  readonly timeoutMs: number
}

export type Judgement = {
  readonly state: ProbeState
  readonly hasServed: boolean
  /** It was correct since `start` or `hurry`, and no failure has been told since. */
  readonly mayFail: boolean
  /** Number of the newest check with a correct answer. */
  readonly newestCorrect: number
  /** The newest check that had a wrong answer, or none within the probe's latency. */
  readonly newestWrong: Pick<BegunCheck, 'number' | 'begunAt'> | undefined
  /** When the newest check of each patience, shorter than the probe's latency, began without getting an answer. */
  readonly givenUp: ReadonlyMap<number, Date>
  readonly countedAtMs: number
}

export type Judged = { readonly judgement: Judgement; readonly changes: readonly ProbeChange[] }

export type AnsweredCheck = { readonly check: BegunCheck; readonly answer: CheckAnswer; readonly at: Date }
export type JudgingRules = { readonly maxLatencyMs: number; readonly everyMs: number; readonly failuresAllowed: number }

export const nothingKnown: Judgement = {
  state: {
    verdict: 'unknown',
    lastCorrectAt: null,
    firstWrongAt: null,
    failuresInARow: 0,
    reason: '',
    latencyMs: null,
  },
  hasServed: false,
  mayFail: false,
  newestCorrect: 0,
  newestWrong: undefined,
  givenUp: new Map(),
  countedAtMs: Number.NEGATIVE_INFINITY,
}

export function judgeAnswer(judgement: Judgement, answered: AnsweredCheck, rules: JudgingRules): Judged {
  const { check, answer, at } = answered
  // A check that was begun later was answered correctly: that is the newer news, also of a service which loses one request in ten.
  if (!answer.isCorrect && check.number < judgement.newestCorrect) return { judgement, changes: [] }
  if (answer.isCorrect) return judgeCorrect(judgement, { check, latencyMs: answer.latencyMs, at })
  if (answer.isSilent && check.timeoutMs < rules.maxLatencyMs) {
    // It may have been slow, and not silent: that alone is no failure.
    const givenUp = new Map(judgement.givenUp).set(check.timeoutMs, check.begunAt)
    return { judgement: { ...judgement, givenUp }, changes: [] }
  }
  return judgeWrong(judgement, { check, reason: answer.reason, at }, rules)
}

/** It is known from elsewhere, such as the end of its process, that the service can't answer at this time. */
export function judgeSign(
  judgement: Judgement,
  sign: { readonly at: Date; readonly reason: string; readonly newest: number },
): Judged {
  const { at, reason, newest } = sign
  const since = {
    ...judgement,
    mayFail: false,
    newestWrong: { number: newest, begunAt: at },
    givenUp: nothingKnown.givenUp,
    countedAtMs: nothingKnown.countedAtMs,
  }
  const state = { ...judgement.state, failuresInARow: 0 }
  if (state.verdict === 'unknown') return { judgement: { ...since, state }, changes: [] }
  return turnWrong({ ...since, state }, at, reason)
}

/** Nobody looks from now on: nothing is known but what was seen last. */
export function forgetVerdict({ state, hasServed }: Judgement): Judgement {
  return { ...nothingKnown, hasServed, state: { ...nothingKnown.state, lastCorrectAt: state.lastCorrectAt } }
}

function judgeCorrect(
  judgement: Judgement,
  { check, latencyMs, at }: { readonly check: BegunCheck; readonly latencyMs: number; readonly at: Date },
): Judged {
  const { state, hasServed, newestWrong } = judgement
  // A check that was begun later has found it wrong.
  if (newestWrong !== undefined && check.number < newestWrong.number) return { judgement, changes: [] }
  const changes: ProbeChange[] = []
  if (state.verdict === 'unknown') changes.push({ kind: 'began', at, isCorrect: true, detail: '' })
  if (!hasServed) changes.push({ kind: 'serving', at, latencyMs })
  if (state.verdict === 'wrong')
    changes.push({ kind: 'answer-back', at, lastWrongAt: lastWrongBefore(judgement, check, latencyMs) })
  return {
    judgement: {
      ...nothingKnown,
      state: { ...nothingKnown.state, verdict: 'correct', lastCorrectAt: at, latencyMs },
      hasServed: true,
      mayFail: true,
      newestCorrect: Math.max(judgement.newestCorrect, check.number),
    },
    changes,
  }
}

/**
 * The newest instant at which it was asked in vain before `check`. Checks that were given up early count if they had waited for as long as
 * this answer took: had the service been back, they would have had theirs.
 */
function lastWrongBefore({ newestWrong, givenUp }: Judgement, check: BegunCheck, latencyMs: number): Date | null {
  const instants = [...givenUp].filter(([timeoutMs]) => timeoutMs >= latencyMs).map(([, begunAt]) => begunAt)
  if (newestWrong !== undefined) instants.push(newestWrong.begunAt)
  return instants
    .filter((begunAt) => begunAt.getTime() <= check.begunAt.getTime())
    .reduce<Date | null>((newest, instant) => (newest === null || instant > newest ? instant : newest), null)
}

function judgeWrong(
  judgement: Judgement,
  { check, reason, at }: { readonly check: BegunCheck; readonly reason: string; readonly at: Date },
  { everyMs, failuresAllowed }: JudgingRules,
): Judged {
  const isNewest = check.number >= (judgement.newestWrong?.number ?? -1)
  const isCounted = check.begunAtMs - judgement.countedAtMs >= everyMs
  const failuresInARow = judgement.state.failuresInARow + (isCounted ? 1 : 0)
  const seen = {
    ...judgement,
    state: { ...judgement.state, failuresInARow },
    newestWrong: isNewest ? { number: check.number, begunAt: check.begunAt } : judgement.newestWrong,
    countedAtMs: isCounted ? check.begunAtMs : judgement.countedAtMs,
  }
  const turned = turnWrong(seen, at, reason)
  if (!seen.mayFail || failuresInARow < failuresAllowed) return turned
  return {
    judgement: { ...turned.judgement, mayFail: false },
    changes: [...turned.changes, { kind: 'service-failed', at, detail: reason }],
  }
}

function turnWrong(judgement: Judgement, at: Date, reason: string): Judged {
  const { state } = judgement
  if (state.verdict === 'wrong') return { judgement: { ...judgement, state: { ...state, reason } }, changes: [] }
  const change: ProbeChange =
    state.verdict === 'unknown'
      ? { kind: 'began', at, isCorrect: false, detail: reason }
      : { kind: 'answer-lost', at, lastCorrectAt: state.lastCorrectAt, detail: reason }
  const wrong: ProbeState = { ...state, verdict: 'wrong', firstWrongAt: at, reason, latencyMs: null }
  return { judgement: { ...judgement, state: wrong }, changes: [change] }
}
