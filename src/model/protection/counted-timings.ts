/** Times that were made shorter count only when every host counts with them: until then a proof waits for the longest that one may still hold. */
import type { Timings } from '../timings.ts'

/** What a host that has not heard of a change may still count with. */
type CountedTimings = { readonly timings: Timings; readonly formerTimings: Timings | null }

/** The present times, but those that a proof waits for as long as they ever were for a host that may not have heard of the present ones. */
export function countedTimings({ timings, formerTimings }: CountedTimings): Timings {
  return formerTimings === null ? timings : withLongest(timings, formerTimings)
}

/** What hosts may still hold after a change to other times: the longest of all since every host was known to count with the same. */
export function formerTimingsAfter(before: CountedTimings, next: Timings): Timings | null {
  const isChanged = JSON.stringify(before.timings) !== JSON.stringify(next)
  return isChanged ? countedTimings(before) : before.formerTimings
}

function withLongest(timings: Timings, other: Timings): Timings {
  return {
    ...timings,
    leaseMs: Math.max(timings.leaseMs, other.leaseMs),
    pillFreeMs: Math.max(timings.pillFreeMs, other.pillFreeMs),
    watchdogMs: Math.max(timings.watchdogMs, other.watchdogMs),
    killMs: Math.max(timings.killMs, other.killMs),
    drainMs: Math.max(timings.drainMs, other.drainMs),
  }
}
