/**
 * How long the outage of a drill lasted, counted from the raw entries without the ledger's code: from when the failure is known to have
 * happened, or else from the middle between the last correct answer and the first sign, to the first correct answer of the machine's own
 * prober.
 */
import type { LedgerEntry, LedgerRecord } from '../../../src/model/ledger/ledger-entry.ts'

/** In milliseconds; undefined when the entries tell of no failure, or of no end of it. */
export function recountDrill(entries: readonly LedgerEntry[], drillId: string | null): number | undefined {
  const records = entries
    .map(({ record }) => record)
    .toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))
  const began = records.findIndex((record) => record.kind === 'drill-began' && record.drillId === drillId)
  if (began < 0) return undefined
  const signs = records.slice(began).filter(isSign)
  const firstSignMs = Math.min(...signs.map(({ at }) => Date.parse(at)))
  const backMs = records
    .filter(isCorrectAnswer)
    .map(({ at }) => Date.parse(at))
    .find((at) => at > firstSignMs)
  if (backMs === undefined) return undefined
  const ofThis = signs.filter(({ at }) => Date.parse(at) <= backMs)
  const possible = (times: readonly (string | null)[]) =>
    times.flatMap((at) => (at === null ? [] : [Date.parse(at)])).filter((at) => at <= firstSignMs)
  const lost = records.slice(began).filter((record) => record.kind === 'answer-lost')
  // Whoever saw it: the other prober's last correct answer may be the later one.
  const lastCorrectMs = Math.max(...possible(lost.map(({ lastCorrectAt }) => lastCorrectAt)))
  const failedMs = possible(ofThis.map(failedAtOf)).find((at) => at >= lastCorrectMs)
  const isAnswered = Number.isFinite(lastCorrectMs)
  return backMs - (failedMs ?? (isAnswered ? Math.floor((lastCorrectMs + firstSignMs) / 2) : firstSignMs))
}

function isSign(record: LedgerRecord): boolean {
  if (record.kind === 'answer-lost') return record.prober === 'own'
  return record.kind === 'failure-detected' || record.kind === 'host-suspect'
}

function isCorrectAnswer(record: LedgerRecord): boolean {
  const isCorrect = record.kind === 'answer-back' || (record.kind === 'probing-began' && record.isCorrect)
  return isCorrect && record.prober === 'own'
}

function failedAtOf(record: LedgerRecord): string | null {
  if (record.kind === 'failure-detected') return record.failedAt
  return record.kind === 'host-suspect' ? record.lastHeardAt : null
}
