/** What a service's condition was at any time, from what was seen of it. */
import type { ServiceCondition } from '../../model/ledger/outage.ts'
import type { CourseSpans } from './service-course.ts'
import type { Span } from './span-track.ts'

export type Condition = Span<ServiceCondition>

type Values = { readonly [Name in keyof CourseSpans]: CourseSpans[Name][number]['value'] | null }

/** Conditions that follow each other without gaps from `fromMs` to `toMs`; neighbours differ. */
export function deriveConditions(
  spans: CourseSpans,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): readonly Condition[] {
  const edges = Object.values(spans).flatMap((track) => track.flatMap((span) => [span.fromMs, span.toMs]))
  const inside = edges.filter((atMs) => atMs > fromMs && atMs < toMs)
  const cuts = [...new Set([fromMs, ...inside, toMs])].toSorted((one, other) => one - other)
  const valuesAt = readersOf(spans)
  const conditions: Condition[] = []
  for (const [index, cut] of cuts.entries()) {
    const next = cuts[index + 1]
    if (next === undefined) break
    const value = conditionOf(valuesAt(cut))
    const last = conditions.at(-1)
    if (last?.value === value) conditions[conditions.length - 1] = { ...last, toMs: next }
    else conditions.push({ fromMs: cut, toMs: next, value })
  }
  return conditions
}

function conditionOf({ own, other, failure, planned, silence, process }: Values): ServiceCondition {
  if (planned !== null) return 'planned'
  if (failure === 'hard') return 'down'
  // Of a host that is cut off nobody outside gets an answer, whatever its own prober sees on the spot.
  if (silence !== null && other !== null) return other === 'correct' ? 'up' : 'down'
  if (own === 'correct') return other === 'wrong' || failure !== null ? 'degraded' : 'up'
  if (own !== null) return own === 'failed' || failure !== null || other === 'wrong' ? 'down' : 'degraded'
  if (failure !== null) return 'down'
  if (other !== null) return other === 'correct' ? 'up' : 'degraded'
  return process !== null && silence !== 'blind' ? 'up' : 'unobserved'
}

/** Reads all tracks at times that only grow. */
function readersOf(spans: CourseSpans): (atMs: number) => Values {
  const own = readerOf(spans.own)
  const other = readerOf(spans.other)
  const failure = readerOf(spans.failure)
  const planned = readerOf(spans.planned)
  const silence = readerOf(spans.silence)
  const process = readerOf(spans.process)
  const drill = readerOf(spans.drill)
  return (atMs) => ({
    own: own(atMs),
    other: other(atMs),
    failure: failure(atMs),
    planned: planned(atMs),
    silence: silence(atMs),
    process: process(atMs),
    drill: drill(atMs),
  })
}

function readerOf<Value>(track: readonly Span<Value>[]): (atMs: number) => Value | null {
  let index = 0
  return (atMs) => {
    while ((track[index]?.toMs ?? Number.POSITIVE_INFINITY) <= atMs) index += 1
    const span = track[index]
    return span !== undefined && span.fromMs <= atMs ? span.value : null
  }
}
