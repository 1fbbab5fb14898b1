/** Time for tests: it stands still until it is advanced. */
import type { MonotonicClock } from './monotonic-clock.ts'

export type ManualClock = MonotonicClock & { readonly advance: (byMs: number) => void }

export function createManualClock(): ManualClock {
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()
  let nowMs = 0
  return {
    nowMs: () => nowMs,
    after: (delayMs, callback) => {
      const timer = { atMs: nowMs + delayMs, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance: (byMs) => {
      const untilMs = nowMs + byMs
      for (;;) {
        const [next] = [...timers].filter((timer) => timer.atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)
        if (next === undefined) break
        timers.delete(next)
        nowMs = Math.max(nowMs, next.atMs)
        next.callback()
      }
      nowMs = untilMs
    },
  }
}
