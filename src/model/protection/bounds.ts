/** How long the leader has to wait before silence proves anything (docs/architecture.md, 4.4 d and 4.6). */
import type { Timings } from '../timings.ts'

/** From the last acknowledged heartbeat: TTL + W + K + D. */
export function leaseProofAfterMs(timings: Timings): number {
  return timings.leaseMs + timings.watchdogMs + timings.killMs + timings.drainMs
}

/** From the moment a pill was durably written and read back: R + W + K + D. */
export function pillProofAfterMs(timings: Timings): number {
  return timings.pillFreeMs + timings.watchdogMs + timings.killMs + timings.drainMs
}

/** A new leader judges no host before the leases that its predecessor may have given have run out: TTL + K + D. */
export function newLeaderWaitsMs(timings: Timings): number {
  return timings.leaseMs + timings.killMs + timings.drainMs
}
