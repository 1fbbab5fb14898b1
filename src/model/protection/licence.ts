/**
 * A host's licence to run leased machines (docs/architecture.md, 4.2 and 4.5), as arithmetic on the host's own boot-time clock.
 * The agent and the watchdog process both count with it, and the simulator runs the same code.
 */
import type { StorageId } from '../ids.ts'
import type { Timings } from '../timings.ts'

/** What a host knows about its right to run leased machines. Times are the host's CLOCK_BOOTTIME in milliseconds. */
export type LicenceFacts = {
  /** When the newest heartbeat that the leader acknowledged was *sent*; null before the first. */
  readonly acknowledgedHeartbeatSentAtMs: number | null
  /** When the newest successful, pill-free read of each storage's slot *began*. */
  readonly pillFreeReadStartedAtMs: ReadonlyMap<StorageId, number>
  /** Storages on which a pill for this host was read. It stays until the leader admits the host again. */
  readonly pills: ReadonlySet<StorageId>
}

/** Until when the lease holds; -Infinity without one. */
export function leaseEndsAtMs(facts: LicenceFacts, timings: Timings): number {
  return facts.acknowledgedHeartbeatSentAtMs === null
    ? -Infinity
    : facts.acknowledgedHeartbeatSentAtMs + timings.leaseMs
}

/**
 * Until when a leased machine on these shared storages may run: the lease, or R after the start of a pill-free read of *each* of them,
 * whichever is later. A pill on any of them ends it at once (-Infinity).
 */
export function licenceEndsAtMs(facts: LicenceFacts, storageIds: readonly StorageId[], timings: Timings): number {
  if (storageIds.some((storageId) => facts.pills.has(storageId))) return -Infinity
  const readsEndAt = storageIds.map(
    (storageId) => (facts.pillFreeReadStartedAtMs.get(storageId) ?? -Infinity) + timings.pillFreeMs,
  )
  const slotsEndAt = readsEndAt.length === 0 ? -Infinity : Math.min(...readsEndAt)
  return Math.max(leaseEndsAtMs(facts, timings), slotsEndAt)
}

export type LicenceVerdict =
  | { readonly kind: 'licensed'; readonly untilMs: number }
  /** It ends soon and nothing has renewed it: pause now, so that it is quiet before the watchdog has to act. */
  | { readonly kind: 'freeze'; readonly reason: string }
  | { readonly kind: 'kill'; readonly reason: string }

/**
 * What the agent does with a leased machine now. A pill kills; a licence that is about to end freezes: the margin is a fifth of R,
 * which leaves the time to drain. A frozen machine has no vCPU running and no write in flight, so it needs no licence.
 */
export function judgeLicence(
  facts: LicenceFacts,
  machine: { readonly storageIds: readonly StorageId[]; readonly nowMs: number },
  timings: Timings,
): LicenceVerdict {
  const pill = machine.storageIds.find((storageId) => facts.pills.has(storageId))
  if (pill !== undefined) return { kind: 'kill', reason: `a pill stands in this host's slot on ${pill}` }
  const untilMs = licenceEndsAtMs(facts, machine.storageIds, timings)
  if (machine.nowMs < untilMs - timings.pillFreeMs / 5) return { kind: 'licensed', untilMs }
  return { kind: 'freeze', reason: 'the lease has run out and its slots cannot be read' }
}

/** A leased machine as the watchdog process knows it. */
export type GuardedMachine = {
  readonly storageIds: readonly StorageId[]
  /** True only after the hypervisor confirmed that it is paused and drained. */
  readonly isFrozen: boolean
}

/** True when the watchdog may leave this machine alive at `nowMs`. */
export function mayStayAlive(
  facts: LicenceFacts,
  machine: GuardedMachine & { readonly nowMs: number },
  timings: Timings,
): boolean {
  if (machine.storageIds.some((storageId) => facts.pills.has(storageId))) return false
  return machine.isFrozen || machine.nowMs < licenceEndsAtMs(facts, machine.storageIds, timings)
}
