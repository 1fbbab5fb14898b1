/**
 * A service's availability over a window of time, from its conditions and outages and from nothing else.
 *
 * Intervals are given at 95 % and are honest about few failures. MTTF: the exact chi-square interval of a constant failure rate in a test
 * that ends at a time (NIST/SEMATECH e-Handbook of Statistical Methods, 8.4.5.1): 2T/χ²(0.975; 2n+2) to 2T/χ²(0.025; 2n) for n failures in
 * T up; without a failure the one-sided bound 2T/χ²(0.95; 2), the "rule of three". Availability = MTTF / (MTTF + MTTR): each of the two gets
 * an interval at 97.5 %, and the bad ends are paired with each other, as are the good ones; both hold at once with at least 95 %
 * (Bonferroni). MTTR's interval takes times to recover as exponential, 2·sum/χ²(·; 2n), which is too wide where they vary less. Without a
 * recovery there is no MTTR, and so no bound of the availability.
 */
import type { Availability, AvailabilityFigures, Bounds, ConditionSums } from '../../model/ledger/availability.ts'
import type { ConditionInterval, Outage } from '../../model/ledger/outage.ts'
import { chiSquareQuantile } from './chi-square-quantile.ts'
import { windowedMinimums } from './windowed-minimum.ts'

export type History = { readonly intervals: readonly ConditionInterval[]; readonly outages: readonly Outage[] }
/** Milliseconds since 1970; the end is not part of it. */
export type TimeWindow = { readonly sinceMs: number; readonly untilMs: number }

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
const windowSizesMs = [minuteMs, 60 * minuteMs, dayMs, 7 * dayMs, 30 * dayMs]

export function computeAvailability({ intervals, outages }: History, { sinceMs, untilMs }: TimeWindow): Availability {
  const clipped = intervals
    .map((interval) => ({
      ...interval,
      fromMs: Math.max(interval.fromMs, sinceMs),
      toMs: Math.min(interval.toMs, untilMs),
    }))
    .filter(({ fromMs, toMs }) => toMs > fromMs)
  const sums = sumConditions(clipped, untilMs - sinceMs)
  const { upMs, degradedMs, downMs, drillDownMs } = sums
  const within = outages.filter(({ beganAt }) => Date.parse(beganAt) >= sinceMs && Date.parse(beganAt) < untilMs)
  const figures = (counted: readonly Outage[], awayMs: number) =>
    computeFigures(counted, { upMs, downMs: awayMs, operatingMs: upMs + degradedMs })
  return {
    since: new Date(sinceMs).toISOString(),
    until: new Date(untilMs).toISOString(),
    observedMs: upMs + degradedMs + downMs + drillDownMs,
    sums,
    real: figures(
      within.filter(({ drillId }) => drillId === null),
      downMs,
    ),
    drills: figures(
      within.filter(({ drillId }) => drillId !== null),
      drillDownMs,
    ),
    withDrills: figures(within, downMs + drillDownMs),
    windowMinimums: windowedMinimums(clipped, { sinceMs, untilMs }, windowSizesMs),
  }
}

/** What no interval covers is unobserved. */
function sumConditions(intervals: readonly ConditionInterval[], windowMs: number): ConditionSums {
  const sumOf = (belongs: (interval: ConditionInterval) => boolean) =>
    intervals.filter(belongs).reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)
  const upMs = sumOf(({ condition }) => condition === 'up')
  const degradedMs = sumOf(({ condition }) => condition === 'degraded')
  const downMs = sumOf(({ condition, drillId }) => condition === 'down' && drillId === null)
  const drillDownMs = sumOf(({ condition, drillId }) => condition === 'down' && drillId !== null)
  const plannedMs = sumOf(({ condition }) => condition === 'planned')
  const unobservedMs = windowMs - upMs - degradedMs - downMs - drillDownMs - plannedMs
  return { upMs, degradedMs, downMs, drillDownMs, plannedMs, unobservedMs }
}

type Times = { readonly upMs: number; readonly downMs: number; readonly operatingMs: number }

function computeFigures(outages: readonly Outage[], { upMs, downMs, operatingMs }: Times): AvailabilityFigures {
  const failures = outages.length
  const repairs = outages
    .flatMap(({ endedBy, durationMs }) => (endedBy === 'answer' && durationMs !== null ? [durationMs] : []))
    .toSorted((one, other) => one - other)
  const availability = upMs + downMs === 0 ? null : upMs / (upMs + downMs)
  return {
    failures,
    recoveries: repairs.length,
    mttfMs: failures === 0 ? null : operatingMs / failures,
    mttrMeanMs: repairs.length === 0 ? null : sumOf(repairs) / repairs.length,
    mttrMedianMs: medianOf(repairs),
    mttrP99Ms: repairs[Math.ceil(repairs.length * 0.99) - 1] ?? null,
    availability,
    nines: availability === null || availability === 1 ? null : -Math.log10(1 - availability),
    mttfBoundsMs: boundMttf(operatingMs, failures, 0.95),
    availabilityBounds: boundAvailability(operatingMs, failures, repairs),
  }
}

function boundMttf(operatingMs: number, failures: number, confidence: number): Bounds {
  if (failures === 0) return { low: (2 * operatingMs) / chiSquareQuantile(confidence, 2), high: null }
  const tail = (1 - confidence) / 2
  return {
    low: (2 * operatingMs) / chiSquareQuantile(1 - tail, 2 * failures + 2),
    high: (2 * operatingMs) / chiSquareQuantile(tail, 2 * failures),
  }
}

function boundAvailability(operatingMs: number, failures: number, repairs: readonly number[]): Bounds {
  if (repairs.length === 0) return { low: null, high: null }
  const confidence = 0.975
  const tail = (1 - confidence) / 2
  const mttf = boundMttf(operatingMs, failures, confidence)
  const doubledMs = 2 * sumOf(repairs)
  const slowestMs = doubledMs / chiSquareQuantile(tail, 2 * repairs.length)
  const fastestMs = doubledMs / chiSquareQuantile(1 - tail, 2 * repairs.length)
  return { low: share(mttf.low, slowestMs), high: share(mttf.high, fastestMs) }
}

function share(mttfMs: number | null, mttrMs: number): number | null {
  return mttfMs === null || mttfMs + mttrMs === 0 ? null : mttfMs / (mttfMs + mttrMs)
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function medianOf(sorted: readonly number[]): number | null {
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  return upper === undefined || lower === undefined ? null : (lower + upper) / 2
}
