/** Milliseconds that never run backwards, and one-shot timers on the same time line. Tests and the simulator pass a virtual one. */
export type MonotonicClock = {
  readonly nowMs: () => number
  /** Calls back once after `delayMs`; the returned function cancels. */
  readonly after: (delayMs: number, callback: () => void) => () => void
}

/** The process's own monotonic clock: steps of the wall clock do not move it. */
export const processClock: MonotonicClock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
