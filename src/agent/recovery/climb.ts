/** One failure of one machine from its detection to its cure, as its own host sees it: which rung is next, and how each went. */

import { type LadderQuestion, nextStep, type RungAttempt } from '../../model/recovery/ladder.ts'
import { attemptsToRemember } from '../../model/recovery/ladder-history.ts'
import type { FailureCause, Rung } from '../../model/recovery/recovery-policy.ts'
import { type Keeping, lifeOf, nowIso } from '../machines/keeping.ts'
import { imageFor } from './keep-image.ts'

/** Failures older than this are forgiven. */
const failureMemoryMs = 10 * 60_000
const rememberedFailures = 50

export type LocalStep =
  | {
      readonly kind: 'try'
      readonly rung: 'resume-here' | 'boot' | 'restart-in-guest'
      readonly waitMs: number
      readonly detail: string
    }
  /** Another host, or a person, has to go on. */
  | { readonly kind: 'give-up'; readonly detail: string; readonly wantsOtherHost: boolean }

/** A failure was found. One that comes while another isn't cured yet means that the last attempt failed. */
export function beginFailure(
  keeping: Keeping,
  { cause, detail, failedAt }: { readonly cause: FailureCause; readonly detail: string; readonly failedAt?: Date },
): void {
  const { ports } = keeping
  const nowMs = ports.clock.bootTimeMs()
  keeping.crashes += 1
  const isDrill = keeping.drill !== undefined
  const lately = keeping.failureTimesMs.filter((atMs) => nowMs - atMs < failureMemoryMs)
  keeping.failureTimesMs = (isDrill ? lately : [...lately, nowMs]).slice(-rememberedFailures)
  ports.journal.note({
    kind: 'failure-detected',
    ...lifeOf(keeping),
    at: nowIso(keeping),
    failedAt: (keeping.drill?.injectedAt ?? failedAt)?.toISOString() ?? null,
    cause,
    detail,
  })
  if (keeping.failure === undefined) keeping.failure = { cause, detail, isDrill, attempts: [] }
  else endAttempt(keeping, false, detail)
}

/** Asks the ladder what to do next, unless a rung is wished for, and notes that it begins. */
export function climb(keeping: Keeping, wished?: Rung): LocalStep {
  const { ports, failure } = keeping
  if (failure === undefined) return { kind: 'give-up', detail: 'nothing has failed', wantsOtherHost: false }
  const step = wished === undefined ? nextStep(questionOf(keeping)) : byHand(wished)
  if (step.kind === 'needs-person') return { kind: 'give-up', detail: step.reason, wantsOtherHost: false }
  if (step.rung === 'resume-elsewhere' || step.rung === 'rebuild-root')
    return {
      kind: 'give-up',
      detail: `${failure.detail}; ${step.reason}`,
      wantsOtherHost: step.rung === 'resume-elsewhere',
    }
  const beganAtMs = ports.clock.bootTimeMs() + step.waitMs
  failure.attempts = [...failure.attempts, { rung: step.rung, beganAtMs, endedAtMs: null, isCured: null }]
  ports.journal.note({
    kind: 'rung-begun',
    ...lifeOf(keeping),
    at: nowIso(keeping),
    rung: step.rung,
    reason: step.reason,
  })
  const wait = step.waitMs === 0 ? '' : ` in ${step.waitMs} ms`
  return {
    kind: 'try',
    rung: step.rung,
    waitMs: step.waitMs,
    detail: `${failure.detail}; ${describe(step.rung)}${wait}`,
  }
}

function byHand(rung: Rung) {
  return { kind: 'try', rung, waitMs: 0, reason: 'it was asked for by hand' } as const
}

/** The machine could not even be started by the rung that was tried. */
export function noteLaunchFailed(keeping: Keeping, why: string): void {
  endAttempt(keeping, false, why)
}

/** Its vCPUs run. Without a probe that is all that can be known, and counts as cured. */
export function noteStarted(keeping: Keeping, tookMs: number): void {
  const { ports, record, failure } = keeping
  ports.journal.note({
    kind: 'machine-started',
    ...lifeOf(keeping),
    at: nowIso(keeping),
    rung: openAttempt(keeping)?.rung ?? null,
    imageId: record.imageId,
    tookMs,
  })
  if (failure !== undefined && record.machine.probe === null) noteCured(keeping)
}

/** The service answers correctly again. */
export function noteCured(keeping: Keeping): void {
  if (keeping.failure === undefined) return
  endAttempt(keeping, true, '')
  const { isDrill, attempts } = keeping.failure
  if (!isDrill) {
    const all = [...keeping.earlierAttempts, ...attempts]
    keeping.earlierAttempts = attemptsToRemember(all, keeping.failureTimesMs)
  }
  keeping.failure = undefined
  keeping.drill = undefined
}

/** The rung that was begun and has not ended. */
export function openAttempt({ failure }: Keeping): RungAttempt | undefined {
  const last = failure?.attempts.at(-1)
  return last?.endedAtMs === null ? last : undefined
}

/** The rung that was begun has ended: it cured, or it did not. */
export function endAttempt(keeping: Keeping, isCured: boolean, detail: string): void {
  const { ports, failure } = keeping
  const open = openAttempt(keeping)
  if (failure === undefined || open === undefined) return
  const endedAtMs = ports.clock.bootTimeMs()
  failure.attempts = [...failure.attempts.slice(0, -1), { ...open, endedAtMs, isCured }]
  const tookMs = Math.max(0, endedAtMs - open.beganAtMs)
  ports.outcomes.note({ cause: failure.cause, rung: open.rung, isCured, tookMs })
  ports.journal.note({
    kind: 'rung-ended',
    ...lifeOf(keeping),
    at: nowIso(keeping),
    rung: open.rung,
    isCured,
    tookMs,
    detail,
  })
}

function questionOf(keeping: Keeping): LadderQuestion {
  const { ports, record, failure, failureTimesMs, earlierAttempts, running } = keeping
  const unavailable: Partial<Record<Rung, string>> = {
    'rebuild-root': 'the root is rebuilt only by order',
  }
  if (running === undefined) unavailable['restart-in-guest'] = 'the machine has no process'
  if (imageFor(keeping) === undefined)
    unavailable['resume-here'] = keeping.image.note === '' ? 'there is no image of it' : keeping.image.note
  if (!record.machine.leased) unavailable['resume-elsewhere'] = 'it may run on this host only'
  return {
    recovery: record.machine.recovery,
    cause: failure?.cause ?? 'unknown',
    unavailable,
    attempts: failure?.isDrill === true ? failure.attempts : [...earlierAttempts, ...(failure?.attempts ?? [])],
    failureTimesMs,
    statistics: ports.outcomes.statistics(),
    mayRebuildRoot: false,
    nowMs: ports.clock.bootTimeMs(),
  }
}

function describe(rung: 'resume-here' | 'boot' | 'restart-in-guest'): string {
  switch (rung) {
    case 'resume-here':
      return 'resumes from memory'
    case 'boot':
      return 'boots here'
    case 'restart-in-guest':
      return 'its service is restarted in the guest'
  }
}
