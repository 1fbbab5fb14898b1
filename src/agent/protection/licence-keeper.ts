/**
 * What this host knows about its right to run leased machines, and the one place where that knowledge changes. Each change is told to the
 * watchdog process; the agent's own judgement of each machine is made by the same arithmetic.
 */
import type { StorageId, VmId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import {
  judgeLicence,
  type LicenceFacts,
  type LicenceVerdict,
  leaseEndsAtMs,
  licenceEndsAtMs,
} from '../../model/protection/licence.ts'
import type { Timings } from '../../model/timings.ts'
import type { WatchdogLink } from '../watchdog/watchdog-link.ts'
import type { WatchdogState } from '../watchdog/watchdog-message.ts'
import type { ClearedSlots } from './cleared-slots.ts'

export type GuardEntry = {
  readonly storageIds: readonly StorageId[]
  readonly isFrozen: boolean
  readonly cgroupDirectory: string
}

export type LicenceKeeper = {
  /** The leader acknowledged the heartbeat that was sent at this moment, and admitted the host: pills read before it was sent are settled. */
  acknowledged(sentAtMs: number): void
  pillFreeRead(storageId: StorageId, startedAtMs: number): void
  pillRead(storageId: StorageId, readAtMs: number): void
  /**
   * This host clears its own slot. Until an acknowledgement of a heartbeat that was sent after `finishedAtMs` has arrived, its slot counts
   * for nothing: the write may have erased a pill that was put there meanwhile. Null before the write; once it resolves, the agent that
   * follows this one would know, too.
   */
  ownSlotCleared(storageId: StorageId, finishedAtMs: number | null): Promise<void>
  setTimings(timings: Timings): void
  timings(): Timings
  /** Whether a machine on these shared storages may run at this moment. */
  isLicensed(storageIds: readonly StorageId[], nowMs: number): boolean
  judge(storageIds: readonly StorageId[], nowMs: number): LicenceVerdict
  leaseEndsAtMs(): number
  hasPill(storageId: StorageId): boolean
  /**
   * An agent's first word to the watchdog: all that an earlier agent has left here. Before it nothing is told: the watchdog would take an
   * agent that doesn't know its machines yet for one that has none, and guard nothing.
   */
  takeOver(entries: ReadonlyMap<VmId, GuardEntry>): Promise<void>
  /** Puts a machine under the watchdog's guard; resolves when the watchdog knows. Has to be done before its process starts. */
  guard(vmId: VmId, entry: GuardEntry): Promise<void>
  /** Takes it out again, after it has been reaped. */
  unguard(vmId: VmId): void
  /** Tells the watchdog where things stand, once the first word was spoken. To be called a few times a second, as a sign of life. */
  tellWatchdog(): Promise<void>
}

export type LicenceKeeperOptions = {
  readonly link: WatchdogLink
  readonly logger: Logger
  readonly timings: Timings
  readonly clearedSlots: ClearedSlots
  /** When an earlier agent's last order to clear a slot has had its effect at the latest. */
  readonly earlierClearedByMs: number
}

export function createLicenceKeeper(options: LicenceKeeperOptions): LicenceKeeper {
  let timings = options.timings
  let acknowledgedHeartbeatSentAtMs: number | null = null
  const reads = new Map<StorageId, number>()
  /** When each pill was first read, on the host's clock. */
  const pills = new Map<StorageId, number | null>()
  const guarded = new Map<VmId, GuardEntry>()
  const cleared = openClearings(options)

  let hasSpoken = false

  const facts = () => ({ acknowledgedHeartbeatSentAtMs, pillFreeReadStartedAtMs: reads, pills: new Set(pills.keys()) })
  const tellWatchdog = async () => {
    if (hasSpoken) await options.link.tell({ ...wordOf(facts(), guarded), timings })
  }
  const tellSoon = () =>
    void tellWatchdog().catch((error: unknown) => options.logger.warn('watchdog.silent', { error }))

  return {
    acknowledged(sentAtMs) {
      acknowledgedHeartbeatSentAtMs = Math.max(sentAtMs, acknowledgedHeartbeatSentAtMs ?? sentAtMs)
      cleared.settle(sentAtMs)
      if (settleBefore(pills, sentAtMs).length > 0) tellSoon()
    },
    pillFreeRead(storageId, startedAtMs) {
      if (!pills.has(storageId) && !cleared.has(storageId)) reads.set(storageId, startedAtMs)
    },
    pillRead(storageId, readAtMs) {
      if (pills.has(storageId)) return
      options.logger.warn('licence.pill-read', { storageId })
      pills.set(storageId, readAtMs)
      reads.delete(storageId)
      tellSoon()
    },
    async ownSlotCleared(storageId, finishedAtMs) {
      const isKept = cleared.note(storageId, finishedAtMs)
      reads.delete(storageId)
      tellSoon()
      await isKept
    },
    setTimings: (next) => {
      timings = next
    },
    timings: () => timings,
    isLicensed: (storageIds, nowMs) => nowMs < licenceEndsAtMs(facts(), storageIds, timings),
    judge: (storageIds, nowMs) => judgeLicence(facts(), { storageIds, nowMs }, timings),
    leaseEndsAtMs: () => leaseEndsAtMs(facts(), timings),
    hasPill: (storageId) => pills.has(storageId),
    async takeOver(entries) {
      for (const [vmId, entry] of entries) guarded.set(vmId, entry)
      hasSpoken = true
      await tellWatchdog()
    },
    async guard(vmId, entry) {
      hasSpoken = true
      const before = guarded.get(vmId)
      guarded.set(vmId, entry)
      try {
        await tellWatchdog()
      } catch (error) {
        if (before === undefined) guarded.delete(vmId)
        throw error
      }
    },
    unguard(vmId) {
      if (guarded.delete(vmId)) tellSoon()
    },
    tellWatchdog,
  }
}

/** Slots that this host itself has cleared, this agent or an earlier one, until the leader has been heard since. */
function openClearings({ clearedSlots, earlierClearedByMs, logger }: LicenceKeeperOptions) {
  const cleared = new Map<StorageId, number | null>(
    clearedSlots.left.map((storageId) => [storageId, earlierClearedByMs]),
  )
  return {
    has: (storageId: StorageId) => cleared.has(storageId),
    async note(storageId: StorageId, finishedAtMs: number | null) {
      cleared.set(storageId, finishedAtMs)
      if (finishedAtMs === null) await clearedSlots.add(storageId)
    },
    settle(sentAtMs: number) {
      for (const storageId of settleBefore(cleared, sentAtMs))
        clearedSlots
          .remove(storageId)
          .catch((error: unknown) => logger.warn('slot.clearing-not-forgotten', { storageId, error }))
    },
  }
}

function wordOf(
  { acknowledgedHeartbeatSentAtMs, pillFreeReadStartedAtMs, pills }: LicenceFacts,
  guarded: ReadonlyMap<VmId, GuardEntry>,
): Omit<WatchdogState, 'sequence' | 'timings'> {
  return {
    acknowledgedHeartbeatSentAtMs,
    pillFreeReads: [...pillFreeReadStartedAtMs].map(([storageId, startedAtMs]) => ({ storageId, startedAtMs })),
    pills: [...pills],
    machines: [...guarded].map(([vmId, entry]) => ({ vmId, ...entry, storageIds: [...entry.storageIds] })),
    agentPid: process.pid,
  }
}

/** Takes out what was noted before this moment, and gives it; null is a moment that hasn't come yet. */
function settleBefore(noted: Map<StorageId, number | null>, sentAtMs: number): readonly StorageId[] {
  const settled = [...noted].flatMap(([storageId, atMs]) => (atMs !== null && atMs < sentAtMs ? [storageId] : []))
  for (const storageId of settled) noted.delete(storageId)
  return settled
}
