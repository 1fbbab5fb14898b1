/** An outage in full: its cause, how long each part took, what was tried. */
import type { LedgerRecord, LedgerServiceId } from '../../model/ledger/ledger-entry.ts'
import type { Outage, OutageAttempt, OutageParts } from '../../model/ledger/outage.ts'
import { countBefore } from './count-before.ts'
import type { FoundOutage } from './find-outages.ts'
import type { Moment } from './order-moments.ts'

/** Moments in order, with their times apart so that they are found fast. */
export type Timeline = { readonly moments: readonly Moment[]; readonly timesMs: readonly number[] }

export type OutageSurroundings = Timeline & {
  readonly service: LedgerServiceId
  readonly serviceName: string
}

export function describeOutage(found: FoundOutage, surroundings: OutageSurroundings): Outage {
  const { service, serviceName, moments, timesMs } = surroundings
  const { fromMs, toMs, lastCorrectMs, firstWrongMs, lastWrongMs, endedBy, failures } = found
  const isOver = endedBy !== null
  const within = moments.slice(countBefore(timesMs, fromMs), countBefore(timesMs, toMs + 1))
  const lost = within.find(({ record }) => record.kind === 'answer-lost')?.record
  return {
    id: `out-${service.replace(/^.*-/, '')}-${firstWrongMs.toString(36)}`,
    service,
    serviceName,
    cause: failures[0]?.cause ?? 'unknown',
    causeDetail: failures[0]?.detail ?? (lost?.kind === 'answer-lost' ? lost.detail : ''),
    beganAt: isoOf(fromMs),
    beganBetween: [lastCorrectMs === null ? null : isoOf(lastCorrectMs), isoOf(firstWrongMs)],
    endedBetween: isOver ? [isoOf(lastWrongMs), isoOf(toMs)] : null,
    endedBy,
    durationMs: isOver ? toMs - fromMs : null,
    durationAtLeastMs: isOver ? lastWrongMs - firstWrongMs : null,
    durationAtMostMs: isOver ? toMs - Math.min(fromMs, lastCorrectMs ?? fromMs) : null,
    parts: partsOf(found, within),
    attempts: attemptsOf(within, surroundings),
    drillId: found.drillId,
    planned: false,
  }
}

/** A part counts from the newest milestone before it. Where one that must come before isn't known, nobody knows what the part began with. */
function partsOf({ fromMs, toMs, endedBy }: FoundOutage, within: readonly Moment[]): OutageParts {
  const detectedMs = firstOf(within, fromMs, ['failure-detected', 'host-suspect', 'host-proven-dead'])
  const decidedMs = firstOf(within, detectedMs, ['decided', 'rung-begun'])
  const proofMs = firstOf(within, detectedMs, ['host-proven-dead'])
  const lastStartMs = within.findLast(({ record }) => record.kind === 'machine-started')?.atMs ?? null
  const startedMs = lastStartMs !== null && lastStartMs >= (decidedMs ?? lastStartMs) ? lastStartMs : null
  const fencedMs = proofMs !== null && proofMs <= (startedMs ?? proofMs) ? proofMs : null
  const served = endedBy === 'answer' ? toMs : null
  // At one instant they are reached in this order: the sort is stable.
  const reached = [fromMs, detectedMs, decidedMs, fencedMs, startedMs, served]
    .flatMap((atMs, milestone) => (atMs === null ? [] : [{ atMs, milestone }]))
    .toSorted((one, other) => one.atMs - other.atMs)
  const partTo = (milestone: number, needed: readonly (number | null)[]) => {
    const place = reached.findIndex((each) => each.milestone === milestone)
    const [before, here] = [reached[place - 1], reached[place]]
    return before === undefined || here === undefined || needed.includes(null) ? null : here.atMs - before.atMs
  }
  return {
    detectMs: partTo(1, []),
    decideMs: partTo(2, [detectedMs]),
    fenceMs: partTo(3, [detectedMs]),
    startMs: partTo(4, [detectedMs, decidedMs]),
    serveMs: partTo(5, [startedMs]),
  }
}

/** The first of these kinds that is not before a time; null for an unknown one. */
function firstOf(
  within: readonly Moment[],
  sinceMs: number | null,
  kinds: readonly LedgerRecord['kind'][],
): number | null {
  if (sinceMs === null) return null
  return within.find(({ record, atMs }) => atMs >= sinceMs && kinds.includes(record.kind))?.atMs ?? null
}

function attemptsOf(within: readonly Moment[], timeline: Timeline): OutageAttempt[] {
  return within.flatMap(({ record, atMs, session }) => {
    if (record.kind === 'decided') {
      return [{ rung: record.rung, beganAt: isoOf(atMs), ...outcomeElsewhere(record.toHostId, atMs, timeline) }]
    }
    if (record.kind !== 'rung-begun') return []
    const end = firstSince(
      timeline,
      atMs,
      (each) => each.record.kind === 'rung-ended' && each.session === session,
    )?.record
    const isEnd = end?.kind === 'rung-ended' && end.rung === record.rung
    const outcome = isEnd
      ? { isCured: end.isCured, tookMs: end.tookMs, detail: end.detail }
      : { isCured: null, tookMs: null, detail: record.reason }
    return [{ rung: record.rung, beganAt: isoOf(atMs), ...outcome }]
  })
}

/** A start on another host is cured by the first correct answer there. */
function outcomeElsewhere(toHostId: string, sinceMs: number, timeline: Timeline) {
  const answer = firstSince(timeline, sinceMs, ({ record, hostId }) => {
    const isCorrect = record.kind === 'answer-back' || (record.kind === 'probing-began' && record.isCorrect)
    return isCorrect && record.prober === 'own' && hostId === toHostId
  })
  return answer === undefined
    ? { isCured: null, tookMs: null, detail: '' }
    : { isCured: true, tookMs: answer.atMs - sinceMs, detail: '' }
}

function firstSince(
  { moments, timesMs }: Timeline,
  sinceMs: number,
  isWanted: (moment: Moment) => boolean,
): Moment | undefined {
  for (let index = countBefore(timesMs, sinceMs); index < moments.length; index += 1) {
    const moment = moments[index]
    if (moment !== undefined && isWanted(moment)) return moment
  }
  return undefined
}

function isoOf(atMs: number): string {
  return new Date(atMs).toISOString()
}
