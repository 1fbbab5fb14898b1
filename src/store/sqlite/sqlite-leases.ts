import { createLeaseTimers } from '../lease-timers.ts'
import type { MonotonicClock } from '../monotonic-clock.ts'
import type { LeaseId } from '../store.ts'
import { requireLeaseTtl } from '../store-limits.ts'
import type { StateSummary } from './sqlite-keyspace.ts'
import type { WriteQueue } from './write-queue.ts'

export type SqliteLeases = {
  readonly grant: (ttlMs: number) => Promise<LeaseId>
  readonly keepAlive: (leaseId: LeaseId) => boolean
  readonly revoke: (leaseId: LeaseId) => Promise<void>
  /** Queues the end of every lease that is over by the clock, ahead of whatever is queued next. */
  readonly expireDue: () => void
  readonly stop: () => void
}

/** An end of a lease that could not be written is tried again after this. */
const endAgainMs = 1000

/** Leases are remembered in the file and counted here. `remembered` ones start with their whole time to live. */
export function createSqliteLeases(options: {
  readonly clock: MonotonicClock
  readonly createId: () => string
  readonly queue: WriteQueue
  readonly remembered: StateSummary['leases']
}): SqliteLeases {
  const { clock, queue } = options
  const timers = createLeaseTimers({ clock, onExpire: (leaseId) => void end(leaseId).catch(() => undefined) })
  const retries = new Set<() => void>()
  let isStopped = false
  for (const { leaseId, ttlMs } of options.remembered) timers.arm(leaseId, ttlMs)

  /** For its holder the lease is over from here on; its keys go as soon as the disk takes it. */
  async function end(leaseId: LeaseId): Promise<void> {
    timers.forget(leaseId)
    try {
      await queue.submit({ kind: 'end-lease', leaseId })
    } catch (error) {
      if (!isStopped) endLater(leaseId)
      throw error
    }
  }

  function endLater(leaseId: LeaseId): void {
    const cancel = clock.after(endAgainMs, () => {
      retries.delete(cancel)
      end(leaseId).catch(() => undefined)
    })
    retries.add(cancel)
  }

  return {
    grant: async (ttlMs) => {
      requireLeaseTtl(ttlMs)
      const leaseId = options.createId()
      await queue.submit({ kind: 'grant-lease', leaseId, ttlMs })
      // Also when the caller has given up waiting, so that the lease does expire.
      if (!isStopped) timers.arm(leaseId, ttlMs)
      return leaseId
    },
    keepAlive: timers.keepAlive,
    revoke: end,
    expireDue: timers.expireDue,
    stop: () => {
      isStopped = true
      timers.stop()
      for (const cancel of retries) cancel()
      retries.clear()
    },
  }
}
