/**
 * Entries in the order in which things happened, each once. Entries come doubled, late and in any order between hosts; within a session
 * their numbers say the order. A wall clock that steps backwards is taken to go on from where it was, so that what follows keeps its
 * length; only the time between the two records around the step is lost.
 */
import type { HostId, SessionId } from '../../model/ids.ts'
import type { LedgerEntry, LedgerRecord } from '../../model/ledger/ledger-entry.ts'

export type Moment = {
  readonly atMs: number
  readonly record: LedgerRecord
  readonly hostId: HostId | null
  readonly session: SessionId | null
  /** Another time of the same record, by the same corrected clock, and never after it. */
  timeOf(iso: string): number
}

/** What is remembered of the clock of a session when its earlier records aren't read again. */
export type SessionClock = { readonly lastSequence: number; readonly lastMs: number; readonly offsetMs: number }
export type SessionClocks = Readonly<Record<string, SessionClock>>

export type Ordered = {
  readonly moments: readonly Moment[]
  /** The clocks when so many of the moments have been. */
  clocksAfter(count: number): SessionClocks
}

/** `since`: what came up to then has been taken into account, and what is told of it again is left out. */
export function orderMoments(
  entries: readonly LedgerEntry[],
  since: { readonly atMs: number; readonly clocks: SessionClocks },
): Ordered {
  const clocks = new Map<string, SessionClock>(Object.entries(since.clocks))
  const ticks = numberedOf(entries).flatMap(({ entry, session, sequence }) => {
    const rawMs = Date.parse(entry.record.at)
    const before = clocks.get(session) ?? { lastSequence: 0, lastMs: rawMs, offsetMs: 0 }
    if (sequence <= before.lastSequence) return []
    const atMs = Math.max(rawMs + before.offsetMs, before.lastMs)
    const clock = { lastSequence: sequence, lastMs: atMs, offsetMs: atMs - rawMs }
    clocks.set(session, clock)
    return [{ moment: momentOf(entry, atMs), tick: [session, clock] as const }]
  })
  const facts = factsOf(entries)
    .map((entry) => ({ moment: momentOf(entry, Date.parse(entry.record.at)), tick: null }))
    .filter(({ moment }) => moment.atMs > since.atMs)
  // The sort is stable: records of one session keep their order, and at one instant what a host saw comes before what was made of it.
  const sorted = [...ticks, ...facts].toSorted((one, other) => one.moment.atMs - other.moment.atMs)
  return {
    moments: sorted.map(({ moment }) => moment),
    clocksAfter: (count) => {
      const seen = sorted.slice(0, count).flatMap(({ tick }) => (tick === null ? [] : [tick]))
      return { ...since.clocks, ...Object.fromEntries(seen) }
    },
  }
}

/** How far back an entry can change what is known: the earliest time that it speaks of. */
export function reachOf({ record, atMs, timeOf }: Moment): number {
  const times: (string | null)[] = []
  if ('lastCorrectAt' in record) times.push(record.lastCorrectAt)
  if ('lastWrongAt' in record) times.push(record.lastWrongAt)
  if ('failedAt' in record) times.push(record.failedAt)
  if ('lastHeardAt' in record) times.push(record.lastHeardAt)
  return Math.min(atMs, ...times.filter((time) => time !== null).map(timeOf))
}

/** Sessions in a fixed order, each in the order of its numbers: the order of the entries doesn't matter. */
function numberedOf(entries: readonly LedgerEntry[]) {
  return entries
    .flatMap((entry) => {
      const { session, sequence } = entry
      return session === null || sequence === null ? [] : [{ entry, session, sequence }]
    })
    .toSorted((one, other) => compare(one.session, other.session) || one.sequence - other.sequence)
}

/** Each fact once, in a fixed order. */
function factsOf(entries: readonly LedgerEntry[]): readonly LedgerEntry[] {
  const facts = entries.filter(({ session, sequence }) => session === null || sequence === null)
  const byText = new Map(facts.map((entry) => [JSON.stringify(entry.record), entry] as const))
  return [...byText].toSorted(([one], [other]) => compare(one, other)).map(([, entry]) => entry)
}

function momentOf({ record, hostId, session }: LedgerEntry, atMs: number): Moment {
  const offsetMs = atMs - Date.parse(record.at)
  return { atMs, record, hostId, session, timeOf: (iso) => Math.min(Date.parse(iso) + offsetMs, atMs) }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
