/** Finds the outages among a service's conditions, with their bounds, and moves each beginning to its best estimate. */
import type { ConditionInterval } from '../../model/ledger/outage.ts'
import { countBefore } from './count-before.ts'
import type { Condition } from './derive-conditions.ts'
import type { Course, CourseSpans, FoundFailure } from './service-course.ts'
import type { Span } from './span-track.ts'

export type FoundOutage = {
  /** Best estimate of its beginning. */
  readonly fromMs: number
  /** When it ended, or `untilMs` while it goes on. */
  readonly toMs: number
  readonly lastCorrectMs: number | null
  readonly firstWrongMs: number
  readonly lastWrongMs: number
  readonly endedBy: 'answer' | 'planned' | 'unobserved' | null
  /** Those that were found in its course, oldest first. */
  readonly failures: readonly FoundFailure[]
  readonly drillId: string | null
}

type Times = { readonly correctMs: readonly number[]; readonly wrongMs: readonly number[] }
type Seen = { readonly course: Course; readonly spans: CourseSpans; readonly untilMs: number }

/** A drill that nobody ended is over after this; what fails later is real. */
const longestDrillMs = 10 * 60_000

export function findOutages(
  conditions: readonly Condition[],
  seen: Seen,
): { readonly intervals: readonly ConditionInterval[]; readonly found: readonly FoundOutage[] } {
  const inOrder = (times: readonly number[]) => times.toSorted((one, other) => one - other)
  const times = { correctMs: inOrder(seen.course.correctMs), wrongMs: inOrder(seen.course.wrongMs) }
  const found = conditions.flatMap((condition, index) =>
    condition.value === 'down' ? [outageOf(conditions, index, { ...seen, ...times })] : [],
  )
  return { intervals: layOver(conditions, found), found }
}

function outageOf(conditions: readonly Condition[], index: number, seen: Seen & Times): FoundOutage {
  const { course, spans, untilMs, correctMs, wrongMs } = seen
  const { fromMs: firstWrongMs = untilMs, toMs = untilMs } = conditions[index] ?? {}
  const next = conditions[index + 1]?.value ?? null
  // Before it there may be hours in which nobody looked, but not the last outage or a planned stop.
  let barrier = index - 1
  while (barrier >= 0 && !isBarrier(conditions[barrier]?.value)) barrier -= 1
  const sinceMs = conditions[barrier]?.toMs ?? Number.NEGATIVE_INFINITY
  const lastCorrectMs = newest(correctMs, sinceMs, firstWrongMs)
  const failures = course.failures.filter(({ atMs }) => atMs >= firstWrongMs && (atMs < toMs || next === null))
  const fromMs = Math.max(
    sinceMs,
    conditions[0]?.fromMs ?? sinceMs,
    estimateBeginning({
      lastCorrectMs,
      firstWrongMs,
      failures,
      isBracketed: course.lastCorrectMs.has(lastCorrectMs ?? Number.NaN) && isSeen(conditions, index, lastCorrectMs),
    }),
  )
  return {
    fromMs,
    toMs,
    lastCorrectMs,
    firstWrongMs,
    lastWrongMs: newest(wrongMs, firstWrongMs, toMs) ?? firstWrongMs,
    endedBy: next === null ? null : next === 'planned' || next === 'unobserved' ? next : 'answer',
    failures,
    drillId: drillAt(spans.drill, { fromMs, firstWrongMs }),
  }
}

/**
 * When it failed, where that is known and agrees with the answers; else the middle between the last correct one and the first sign, if
 * these followed each other. A failure that was found before any answer was missed began when it was found.
 */
function estimateBeginning({
  lastCorrectMs,
  firstWrongMs,
  failures,
  isBracketed,
}: Pick<FoundOutage, 'lastCorrectMs' | 'firstWrongMs' | 'failures'> & { readonly isBracketed: boolean }): number {
  const failedMs = failures.map((failure) => failure.failedMs).find((atMs) => atMs !== null)
  const isPossible = failedMs !== undefined && failedMs <= firstWrongMs && failedMs >= (lastCorrectMs ?? failedMs)
  if (isPossible) return failedMs
  return lastCorrectMs === null || !isBracketed ? firstWrongMs : Math.floor((lastCorrectMs + firstWrongMs) / 2)
}

/** Whether somebody looked from the last correct answer on. */
function isSeen(conditions: readonly Condition[], index: number, lastCorrectMs: number | null): boolean {
  for (let before = index - 1; before >= 0; before -= 1) {
    const condition = conditions[before]
    if (condition === undefined || condition.toMs <= (lastCorrectMs ?? condition.toMs)) return true
    if (condition.value === 'unobserved') return false
  }
  return true
}

function isBarrier(value: Condition['value'] | undefined): boolean {
  return value === 'down' || value === 'planned'
}

/** The last time in the span, its ends included. */
function newest(times: readonly number[], fromMs: number, toMs: number): number | null {
  const last = times[countBefore(times, toMs + 1) - 1]
  return last !== undefined && last >= fromMs ? last : null
}

function drillAt(drills: readonly Span<string>[], outage: Pick<FoundOutage, 'fromMs' | 'firstWrongMs'>): string | null {
  const drill = drills.findLast(({ fromMs }) => fromMs <= outage.firstWrongMs)
  if (drill === undefined || outage.fromMs > Math.min(drill.toMs, drill.fromMs + longestDrillMs)) return null
  return drill.value
}

/** The conditions with each outage from its estimated beginning on. */
function layOver(conditions: readonly Condition[], outages: readonly FoundOutage[]): readonly ConditionInterval[] {
  let next = 0
  const intervals: ConditionInterval[] = []
  for (const { fromMs, toMs, value } of conditions) {
    const outage = outages[next]
    if (value === 'down') {
      intervals.push({ fromMs: outage?.fromMs ?? fromMs, toMs, condition: value, drillId: outage?.drillId ?? null })
      next += 1
      continue
    }
    const endMs = Math.min(toMs, outage?.fromMs ?? toMs)
    if (endMs > fromMs) intervals.push({ fromMs, toMs: endMs, condition: value, drillId: null })
  }
  return intervals
}
