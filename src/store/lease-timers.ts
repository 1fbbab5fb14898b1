import type { MonotonicClock } from './monotonic-clock.ts'
import type { LeaseId } from './store.ts'

/** Who still holds a lease, by one monotonic clock. What becomes of the keys is the store's matter. */
export type LeaseTimers = {
  /** Starts the lease with its whole time to live. */
  readonly arm: (leaseId: LeaseId, ttlMs: number) => void
  /** False when the lease is unknown or its time is over, even if no timer has fired yet. */
  readonly keepAlive: (leaseId: LeaseId) => boolean
  readonly forget: (leaseId: LeaseId) => void
  /** Expires what is due by the clock now. A store calls it before it judges anything that depends on leases. */
  readonly expireDue: () => void
  readonly stop: () => void
}

/** One timer stands for all leases. A lease is forgotten before `onExpire` learns of it. */
export function createLeaseTimers(options: {
  readonly clock: MonotonicClock
  readonly onExpire: (leaseId: LeaseId) => void
}): LeaseTimers {
  const { clock, onExpire } = options
  const leases = new Map<LeaseId, { readonly ttlMs: number; readonly expiresAtMs: number }>()
  let timer: { readonly atMs: number; readonly cancel: () => void } | undefined

  // A kept-alive lease leaves the timer alone: it fires at the old time, finds nothing due and is set anew.
  function setTimer(atMs: number): void {
    if (timer !== undefined && timer.atMs <= atMs) return
    timer?.cancel()
    timer = { atMs, cancel: clock.after(Math.max(0, Math.ceil(atMs - clock.nowMs())), onTimer) }
  }

  function onTimer(): void {
    timer = undefined
    expireDue()
    let next = Number.POSITIVE_INFINITY
    for (const lease of leases.values()) next = Math.min(next, lease.expiresAtMs)
    if (next < Number.POSITIVE_INFINITY) setTimer(next)
  }

  function expireDue(): void {
    const nowMs = clock.nowMs()
    for (const [leaseId, lease] of leases) {
      if (lease.expiresAtMs > nowMs) continue
      leases.delete(leaseId)
      onExpire(leaseId)
    }
  }

  function arm(leaseId: LeaseId, ttlMs: number): void {
    const expiresAtMs = clock.nowMs() + ttlMs
    leases.set(leaseId, { ttlMs, expiresAtMs })
    setTimer(expiresAtMs)
  }

  return {
    arm,
    keepAlive: (leaseId) => {
      expireDue()
      const lease = leases.get(leaseId)
      if (lease === undefined) return false
      arm(leaseId, lease.ttlMs)
      return true
    },
    forget: (leaseId) => {
      leases.delete(leaseId)
    },
    expireDue,
    stop: () => {
      timer?.cancel()
      timer = undefined
      leases.clear()
    },
  }
}
