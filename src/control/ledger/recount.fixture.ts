/**
 * The ledger's sums counted a second time, in the plainest way there is: one cell for each millisecond, painted over by one record after
 * the other. Shares no code with the ledger. Understands the histories of `ledger-history.fixture.ts`.
 */
import type { LedgerEntry } from '../../model/ledger/ledger-entry.ts'

export type Recount = Readonly<Record<'up' | 'degraded' | 'down' | 'drillDown' | 'planned' | 'unobserved', number>>

export function recount(entries: readonly LedgerEntry[], noonMs: number, endMs: number): Recount {
  const ms = (at: string) => Date.parse(at) - noonMs
  const cells = paint(entries, endMs, ms)
  const conditions = cells.own.map((_cell, at) => judge(cells, at))
  const counts = { up: 0, degraded: 0, down: 0, drillDown: 0, planned: 0, unobserved: 0 }
  for (let at = 0; at < endMs; at += 1) {
    if (conditions[at] !== 'down' || conditions[at - 1] === 'down') continue
    for (let back = beginningOf(entries, at, ms); back < at; back += 1) conditions[back] = 'down'
  }
  const drillTimes = entries.flatMap(({ record }) => (record.kind === 'drill-began' ? [ms(record.at)] : []))
  let isDrill = false
  for (const [at, condition] of conditions.entries()) {
    if (condition === 'down' && conditions[at - 1] !== 'down') {
      // The failure of a drill comes 2 ms after its beginning, and may have been felt before it.
      isDrill = drillTimes.some((drillMs) => drillMs >= at && drillMs <= at + 20)
    }
    counts[condition === 'down' && isDrill ? 'drillDown' : (condition ?? 'unobserved')] += 1
  }
  return counts
}

type Cells = ReturnType<typeof blank>

function blank(endMs: number) {
  const cells = <Value>(value: Value) => Array.from({ length: endMs }, () => value)
  return {
    own: cells<'correct' | 'wrong' | null>(null),
    other: cells<'correct' | 'wrong' | null>(null),
    isDead: cells(false),
    isFailing: cells(false),
    isPlanned: cells(true),
    isSilent: cells(false),
  }
}

function paint(entries: readonly LedgerEntry[], endMs: number, ms: (at: string) => number): Cells {
  const cells = blank(endMs)
  let isWanted = true
  let suspectMs = 0
  for (const { record } of entries.toSorted((one, other) => ms(one.record.at) - ms(other.record.at))) {
    const at = ms(record.at)
    switch (record.kind) {
      case 'probing-began':
      case 'answer-back':
      case 'answer-lost': {
        const isCorrect = record.kind === 'answer-back' || (record.kind === 'probing-began' && record.isCorrect)
        cells[record.prober].fill(isCorrect ? 'correct' : 'wrong', at)
        if (record.prober === 'own' && isCorrect) {
          cells.isDead.fill(false, at)
          cells.isFailing.fill(false, at)
          if (isWanted) cells.isPlanned.fill(false, at)
        }
        if (record.prober === 'own' && record.kind === 'probing-began') cells.isSilent.fill(false, at)
        break
      }
      case 'probing-ended':
        cells[record.prober].fill(null, at)
        break
      case 'failure-detected':
        cells[record.cause === 'process-died' ? 'isDead' : 'isFailing'].fill(true, at)
        break
      case 'planned-began':
      case 'planned-ended':
        isWanted = record.kind === 'planned-ended'
        cells.isPlanned.fill(true, at)
        break
      case 'host-suspect':
        suspectMs = at
        cells.isSilent.fill(true, ms(record.lastHeardAt ?? record.at))
        break
      case 'host-heard':
        cells.isSilent.fill(false, at)
        break
      case 'host-proven-dead':
        cells.own.fill(null, ms(record.lastHeardAt ?? record.at))
        cells.isDead.fill(true, suspectMs)
        break
      case 'session-began':
        cells.own.fill(null, ms(record.lastHeardAt ?? record.at))
        break
      case 'machine-started':
      case 'rung-begun':
      case 'rung-ended':
      case 'decided':
      case 'cell-restart':
      case 'planned':
      case 'drill-began':
      case 'drill-ended':
        break
    }
  }
  return cells
}

function judge({ own, other, isDead, isFailing, isPlanned, isSilent }: Cells, at: number) {
  if (isPlanned[at] === true) return 'planned'
  if (isDead[at] === true) return 'down'
  if (isSilent[at] === true && other[at] !== null) return other[at] === 'correct' ? 'up' : 'down'
  if (own[at] === 'correct') return other[at] === 'wrong' || isFailing[at] === true ? 'degraded' : 'up'
  if (own[at] === 'wrong') {
    let isFailure = other[at] === 'wrong'
    for (let look = at; own[look] === 'wrong'; look += 1)
      isFailure ||= isFailing[look] === true || isDead[look] === true
    return isFailure ? 'down' : 'degraded'
  }
  if (isFailing[at] === true) return 'down'
  if (other[at] !== null) return other[at] === 'correct' ? 'up' : 'degraded'
  return 'unobserved'
}

/** In the middle between the last correct answer and the first sign; where a host fell silent later than that, when it was last heard. */
function beginningOf(entries: readonly LedgerEntry[], firstMs: number, ms: (at: string) => number): number {
  const lastCorrect = entries.flatMap(({ record }) =>
    record.kind === 'answer-lost' && record.lastCorrectAt !== null ? [ms(record.lastCorrectAt)] : [],
  )
  const before = Math.max(...lastCorrect.filter((at) => at <= firstMs))
  const heard = entries.flatMap(({ record }) =>
    record.kind === 'host-proven-dead' ? [ms(record.lastHeardAt ?? '')] : [],
  )
  const isRecent = (at: number) => firstMs - at < 60
  const heardMs = heard.find((at) => at <= firstMs && at >= before && isRecent(at))
  if (heardMs !== undefined) return heardMs
  return isRecent(before) ? Math.floor((before + firstMs) / 2) : firstMs
}
