/** What this leader has heard from each host. In memory only: a new leader begins with nothing and waits before it judges. */
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import type { HostObservation } from '../../model/cluster-state.ts'
import type { HostId, StorageId, VmId } from '../../model/ids.ts'
import type { MachineReport } from '../../model/vm.ts'

type Row = {
  lastAcknowledgedAtMs: number
  attentiveSilentMs: number
  kernelAnsweredAtMs: number
  unheardAnswers: number
  /** When one was last counted, in attentive time. */
  unheardCountedAtMs: number
  /** Since when it has not read its slot there, by the leader's clock. */
  readonly unreadSinceMs: Map<StorageId, number>
  heartbeat: Heartbeat | undefined
  /** What the heartbeat says, made ready to be looked at. */
  reports: HostObservation['reports']
  reachableStorages: HostObservation['reachableStorages']
}

export type HostTable = {
  /** Counts this host's silence from now on, if it isn't counted yet. */
  count(hostId: HostId): void
  /** Counts silence. A tick that comes late counts only for `maximumMs`: that time the leader slept, not the host. */
  tick(nowMs: number, maximumMs: number): void
  /** Something of the host arrived: it is not silent, whatever becomes of what it said. */
  speaks(hostId: HostId): void
  /** All that the ticks have counted: time that passes only while the leader looks. */
  attentiveMs(): number
  /** Its kernel answered a question that was sent then, in attentive time, while its agent was silent. */
  kernelAnswered(hostId: HostId, askedAtMs: number): void
  /** What the host said is taken up, whatever it is answered. */
  heard(hostId: HostId, heartbeat: Heartbeat, nowMs: number): void
  /** An acknowledgement that extends its lease is about to be given. */
  acknowledged(hostId: HostId, nowMs: number): void
  observations(nowMs: number): ReadonlyMap<HostId, HostObservation>
  observation(hostId: HostId, nowMs: number): HostObservation
  attentiveSilentMs(hostId: HostId): number
  report(hostId: HostId, vmId: VmId): MachineReport | undefined
  /** True once this leader has heard the host, in whatever session. */
  hasReported(hostId: HostId): boolean
  heartbeat(hostId: HostId): Heartbeat | undefined
}

/** Less than lies between two heartbeats of which the first was not answered in time. */
const burstMs = 300

export function createHostTable(startedAtMs: number): HostTable {
  const rows = new Map<HostId, Row>()
  let lastTickAtMs = startedAtMs
  let attentiveMs = 0
  const row = (hostId: HostId): Row => {
    const existing = rows.get(hostId)
    if (existing !== undefined) return existing
    // A predecessor may have acknowledged it in its last moment: its lease counts from now.
    const created: Row = {
      lastAcknowledgedAtMs: startedAtMs,
      attentiveSilentMs: 0,
      kernelAnsweredAtMs: -Infinity,
      unheardAnswers: 0,
      unheardCountedAtMs: -Infinity,
      unreadSinceMs: new Map(),
      heartbeat: undefined,
      reports: new Map(),
      reachableStorages: new Set(),
    }
    rows.set(hostId, created)
    return created
  }

  const observe = (entry: Row, nowMs: number): HostObservation => ({
    silentMs: nowMs - entry.lastAcknowledgedAtMs,
    attentiveSilentMs: entry.attentiveSilentMs,
    kernelAnsweredAgoMs: attentiveMs - entry.kernelAnsweredAtMs,
    unheardAnswers: entry.unheardAnswers,
    unreadMs: new Map([...entry.unreadSinceMs].map(([storageId, sinceMs]) => [storageId, nowMs - sinceMs])),
    reports: entry.reports,
    reachableStorages: entry.reachableStorages,
  })

  return {
    count: (hostId) => void row(hostId),
    tick(nowMs, maximumMs) {
      const countedMs = Math.min(Math.max(0, nowMs - lastTickAtMs), maximumMs)
      lastTickAtMs = nowMs
      attentiveMs += countedMs
      for (const entry of rows.values()) entry.attentiveSilentMs += countedMs
    },
    speaks(hostId) {
      const entry = row(hostId)
      entry.attentiveSilentMs = 0
      entry.kernelAnsweredAtMs = -Infinity
    },
    attentiveMs: () => attentiveMs,
    kernelAnswered(hostId, askedAtMs) {
      const entry = row(hostId)
      entry.kernelAnsweredAtMs = Math.max(entry.kernelAnsweredAtMs, askedAtMs)
    },
    heard(hostId, heartbeat, nowMs) {
      const entry = row(hostId)
      const isOlder = entry.heartbeat?.session === heartbeat.session && entry.heartbeat.sequence > heartbeat.sequence
      if (isOlder) return
      const reachable = heartbeat.storages.filter(({ probeAgeMs }) => probeAgeMs !== null && probeAgeMs < 1_500)
      entry.heartbeat = heartbeat
      entry.reports = new Map(heartbeat.machines.map((report) => [report.vmId, report]))
      entry.reachableStorages = new Set(reachable.map(({ storageId }) => storageId))
      noteUnread(entry, heartbeat, nowMs)
      noteUnheard(entry, heartbeat, attentiveMs)
    },
    acknowledged(hostId, nowMs) {
      row(hostId).lastAcknowledgedAtMs = nowMs
    },
    observations: (nowMs) => new Map([...rows].map(([hostId, entry]) => [hostId, observe(entry, nowMs)])),
    observation: (hostId, nowMs) => observe(row(hostId), nowMs),
    attentiveSilentMs: (hostId) => row(hostId).attentiveSilentMs,
    report: (hostId, vmId) => rows.get(hostId)?.reports.get(vmId),
    hasReported: (hostId) => rows.get(hostId)?.heartbeat !== undefined,
    heartbeat: (hostId) => rows.get(hostId)?.heartbeat,
  }
}

function noteUnread({ unreadSinceMs }: Row, { storages }: Heartbeat, nowMs: number): void {
  for (const { storageId, probeAgeMs } of storages)
    unreadSinceMs.set(storageId, probeAgeMs === null ? (unreadSinceMs.get(storageId) ?? nowMs) : nowMs - probeAgeMs)
}

/** Counted here, not there: those that never arrived were not answered either. What comes in a burst has waited somewhere, and counts once. */
function noteUnheard(entry: Row, { unanswered }: Heartbeat, attentiveMs: number): void {
  if (unanswered === 0) entry.unheardAnswers = 0
  else if (attentiveMs - entry.unheardCountedAtMs >= burstMs) {
    entry.unheardAnswers += 1
    entry.unheardCountedAtMs = attentiveMs
  }
}
