/** Entries of one service, written as an operator would tell them: times are milliseconds after noon. */
import { type HostId, hostIdSchema, type SessionId, sessionIdSchema, vmIdSchema } from '../../model/ids.ts'
import type { ControllerFact, LedgerEntry } from '../../model/ledger/ledger-entry.ts'
import type { Outage } from '../../model/ledger/outage.ts'
import type { FailureCause, Rung } from '../../model/recovery/recovery-policy.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import { type Assembled, type AssembleOptions, assembleOutages } from './assemble-outages.ts'

export const noonMs = Date.parse('2026-03-01T12:00:00.000Z')
export const vmId = vmIdSchema.parse('vm-aaaaaaaa')
export const node1 = hostIdSchema.parse('host-aaaaaaa1')
export const node2 = hostIdSchema.parse('host-aaaaaaa2')
export const node3 = hostIdSchema.parse('host-aaaaaaa3')

export const iso = (ms: number) => new Date(noonMs + ms).toISOString()

type Untimed<Record> = Record extends RecoveryRecord ? Omit<Record, 'at' | 'vmId'> : never
type Session = {
  tell(ms: number, record: Untimed<RecoveryRecord>): void
  began(ms: number, prober: 'own' | 'other', isCorrect: boolean): void
  ended(ms: number, prober: 'own' | 'other'): void
  lost(ms: number, prober: 'own' | 'other', lastCorrectMs: number | null): void
  back(ms: number, prober: 'own' | 'other', lastWrongMs: number | null): void
  failed(ms: number, cause: FailureCause, failedMs?: number): void
  rung(ms: number, rung: Rung): void
  started(ms: number, rung: Rung | null): void
  rungEnded(ms: number, rung: Rung, isCured: boolean): void
  readonly id: SessionId
}

export type Story = {
  readonly entries: LedgerEntry[]
  /** The agent of a host, in its so-and-so-many-th life. */
  agent(hostId: HostId, life?: number): Session
  fact(fact: ControllerFact): void
}

export function tellStory(): Story {
  const entries: LedgerEntry[] = []
  return {
    entries,
    agent: (hostId, life = 1) => makeSession(entries, hostId, life),
    fact: (record) =>
      entries.push({ at: record.at, service: vmId, hostId: null, session: null, sequence: null, record }),
  }
}

/** web was started on node1 and serves since 100; node3 looks as well. */
export function serving(): Story & {
  readonly home: ReturnType<Story['agent']>
  readonly watcher: ReturnType<Story['agent']>
} {
  const story = tellStory()
  story.fact({ kind: 'planned-began', at: iso(0), what: 'start', user: 'admin' })
  const home = story.agent(node1)
  const watcher = story.agent(node3)
  home.started(50, null)
  home.began(60, 'own', false)
  home.back(100, 'own', 95)
  watcher.began(110, 'other', true)
  return { ...story, home, watcher }
}

function makeSession(entries: LedgerEntry[], hostId: HostId, life: number): Session {
  const session = sessionIdSchema.parse(`ses-${hostId.slice(-1)}${String(life).padStart(7, '0')}`)
  let sequence = 0
  const tell: Session['tell'] = (ms, untimed) => {
    sequence += 1
    const record: RecoveryRecord = { ...untimed, at: iso(ms), vmId }
    entries.push({ at: record.at, service: vmId, hostId, session, sequence, record })
  }
  const lived = { epoch: 1, incarnation: 0 }
  const told = (ms: number | null) => (ms === null ? null : iso(ms))
  return {
    id: session,
    tell,
    began: (ms, prober, isCorrect) => tell(ms, { kind: 'probing-began', prober, isCorrect }),
    ended: (ms, prober) => tell(ms, { kind: 'probing-ended', prober }),
    lost: (ms, prober, lastCorrectMs) =>
      tell(ms, { kind: 'answer-lost', prober, lastCorrectAt: told(lastCorrectMs), detail: 'no answer' }),
    back: (ms, prober, lastWrongMs) => tell(ms, { kind: 'answer-back', prober, lastWrongAt: told(lastWrongMs) }),
    failed: (ms, cause, failedMs) =>
      tell(ms, { kind: 'failure-detected', ...lived, failedAt: told(failedMs ?? null), cause, detail: `${cause}!` }),
    rung: (ms, rung) => tell(ms, { kind: 'rung-begun', ...lived, rung, reason: 'the cheapest' }),
    started: (ms, rung) => tell(ms, { kind: 'machine-started', ...lived, rung, imageId: null, tookMs: 30 }),
    rungEnded: (ms, rung, isCured) =>
      tell(ms, { kind: 'rung-ended', ...lived, rung, isCured, tookMs: 60, detail: isCured ? '' : 'in vain' }),
  }
}

export function assemble(entries: readonly LedgerEntry[], untilMs: number, from?: AssembleOptions['from']): Assembled {
  const options = { service: vmId, serviceName: 'web', untilMs: noonMs + untilMs }
  return assembleOutages(entries, from === undefined ? options : { ...options, from })
}

/** `up 0-100, down 100-160 …` */
export function conditionsOf({ intervals }: Assembled): string {
  return intervals.map(({ condition, fromMs, toMs }) => `${condition} ${fromMs - noonMs}-${toMs - noonMs}`).join(', ')
}

/** Times of an outage as milliseconds after noon: last correct, began, first wrong, last wrong, ended. */
export function timesOf({ beganAt, beganBetween, endedBetween }: Outage): (number | null)[] {
  const times = [beganBetween[0], beganAt, beganBetween[1], endedBetween?.[0] ?? null, endedBetween?.[1] ?? null]
  return times.map((at) => (at === null ? null : Date.parse(at) - noonMs))
}
