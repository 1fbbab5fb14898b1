/**
 * The ledger's arithmetic: from the entries of one service to its conditions over time and its outages. Pure; the order in which entries
 * arrive makes no difference, nor does one that arrives twice.
 *
 * A service is down while its own prober gets wrong answers in a stretch in which its failure was found, while both probers do, while its
 * process, guest or host is known to be dead and no correct answer was seen since, and while its host is silent and the other prober gets
 * wrong answers. Where nobody looked it is unobserved, which is neither up nor down; but a failure that was found lasts until somebody
 * sees it cured. Without a probe a running process counts as serving.
 */
import type { LedgerEntry, LedgerServiceId } from '../../model/ledger/ledger-entry.ts'
import type { ConditionInterval, Outage } from '../../model/ledger/outage.ts'
import { deriveConditions } from './derive-conditions.ts'
import { describeOutage } from './describe-outage.ts'
import { findOutages } from './find-outages.ts'
import { followMoment } from './follow-moments.ts'
import { type Moment, orderMoments, reachOf, type SessionClocks } from './order-moments.ts'
import { beginCourse, finishCourse, type Standing, standingOf } from './service-course.ts'

/** A point at which nothing was open; JSON. What comes after it can be assembled without what came before. */
export type QuietPoint = { readonly atMs: number; readonly clocks: SessionClocks; readonly standing: Standing }

export type AssembleOptions = {
  readonly service: LedgerServiceId
  readonly serviceName: string
  /** Nothing after it counts: milliseconds since 1970. */
  readonly untilMs: number
  /** Go on from here: the entries are at least those that have come since, and more make no difference. */
  readonly from?: QuietPoint
}

export type Assembled = {
  /** From the first entry (or the quiet point) to `untilMs`, without gaps. */
  readonly intervals: readonly ConditionInterval[]
  /** Oldest first. */
  readonly outages: readonly Outage[]
  /** The newest one. It serves as long as no entry that comes later reaches back before it. */
  readonly quiet: QuietPoint | null
  /** An entry speaks of a time before `from`: assemble again from an older point. */
  readonly reachesBack: boolean
}

export function assembleOutages(entries: readonly LedgerEntry[], options: AssembleOptions): Assembled {
  const { untilMs, from } = options
  const { moments: all, clocksAfter } = orderMoments(entries, from ?? { atMs: Number.NEGATIVE_INFINITY, clocks: {} })
  const moments = all.filter(({ atMs }) => atMs <= untilMs)
  const beganAtMs = from?.atMs ?? earliestOf(moments)
  if (beganAtMs === undefined) return { intervals: [], outages: [], quiet: null, reachesBack: false }
  const course = beginCourse(beganAtMs, from?.standing ?? null)
  const quietAfter = findQuiet(moments)
  let quiet: { readonly count: number; readonly atMs: number; readonly standing: Standing } | null = null
  for (const [index, moment] of moments.entries()) {
    followMoment(course, moment)
    const standing = quietAfter(index) ? standingOf(course) : null
    if (standing !== null) quiet = { count: index + 1, atMs: moment.atMs, standing }
  }
  const spans = finishCourse(course, untilMs)
  const conditions = deriveConditions(spans, { fromMs: beganAtMs, toMs: untilMs })
  const timesMs = moments.map(({ atMs }) => atMs)
  const { intervals, found } = findOutages(conditions, { course, spans, untilMs })
  return {
    intervals,
    outages: found.map((outage) => describeOutage(outage, { ...options, moments, timesMs })),
    quiet: quiet === null ? null : { atMs: quiet.atMs, clocks: clocksAfter(quiet.count), standing: quiet.standing },
    reachesBack: from !== undefined && moments.some((moment) => reachOf(moment) < from.atMs),
  }
}

function earliestOf(moments: readonly Moment[]): number | undefined {
  return moments.length === 0 ? undefined : moments.map(reachOf).reduce((one, two) => Math.min(one, two))
}

/** Whether what comes after a moment leaves alone what was up to it. */
function findQuiet(moments: readonly Moment[]): (index: number) => boolean {
  const reach = Number.POSITIVE_INFINITY
  const reaches = moments.map(reachOf)
  const laterReaches = reaches.map(() => reach)
  for (let index = reaches.length - 2; index >= 0; index -= 1) {
    laterReaches[index] = Math.min(laterReaches[index + 1] ?? reach, reaches[index + 1] ?? reach)
  }
  return (index) => {
    const { atMs } = moments[index] ?? { atMs: reach }
    return (laterReaches[index] ?? reach) > atMs && (moments[index + 1]?.atMs ?? reach) > atMs
  }
}
