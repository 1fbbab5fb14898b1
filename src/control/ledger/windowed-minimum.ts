/**
 * The availability of the worst window of each size (Hauer, Hoffmann, Lunney, Ardelean, Diwan, "Meaningful Availability", NSDI 2020): many
 * short outages and one long one of the same sum look alike in an average, and different here. Between two changes of condition the share
 * only rises or only falls while a window slides, so that the worst window begins or ends at a change: trying those is exact.
 */
import type { WindowMinimum } from '../../model/ledger/availability.ts'
import type { ConditionInterval } from '../../model/ledger/outage.ts'
import { countBefore } from './count-before.ts'

type Span = { readonly sinceMs: number; readonly untilMs: number }

/** Drills, planned times and what nobody saw count neither as up nor as down. A size that doesn't fit into the span has no minimum. */
export function windowedMinimums(
  intervals: readonly ConditionInterval[],
  span: Span,
  sizesMs: readonly number[],
): WindowMinimum[] {
  const up = countUp(intervals.filter(({ condition }) => condition === 'up'))
  const down = countUp(intervals.filter(({ condition, drillId }) => condition === 'down' && drillId === null))
  const edges = new Set(intervals.flatMap(({ fromMs, toMs }) => [fromMs, toMs]))
  const shareFrom = (fromMs: number, windowMs: number) => {
    const upMs = up(fromMs + windowMs) - up(fromMs)
    const downMs = down(fromMs + windowMs) - down(fromMs)
    return upMs + downMs === 0 ? null : upMs / (upMs + downMs)
  }
  return sizesMs.map((windowMs) => {
    const begins = [span.sinceMs, span.untilMs - windowMs]
    for (const edge of edges) begins.push(edge, edge - windowMs)
    const inside = begins.filter((fromMs) => fromMs >= span.sinceMs && fromMs + windowMs <= span.untilMs)
    const shares = inside.map((fromMs) => shareFrom(fromMs, windowMs)).filter((share) => share !== null)
    return { windowMs, availability: shares.length === 0 ? null : shares.reduce((one, two) => Math.min(one, two)) }
  })
}

/** How much of the time up to a moment lies in the intervals. */
function countUp(intervals: readonly ConditionInterval[]): (atMs: number) => number {
  const before: number[] = []
  let sum = 0
  for (const { fromMs, toMs } of intervals) {
    before.push(sum)
    sum += toMs - fromMs
  }
  const begins = intervals.map(({ fromMs }) => fromMs)
  return (atMs) => {
    const index = countBefore(begins, atMs) - 1
    const last = intervals[index]
    return last === undefined ? 0 : (before[index] ?? 0) + Math.min(atMs, last.toMs) - last.fromMs
  }
}
