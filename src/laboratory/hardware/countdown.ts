/** The timer of a hardware watchdog: expires once, unless it was restarted in time. */

export type Countdown = {
  /** Counts from now, with this time. */
  start(timeoutMs: number): void
  /** Counts from now, with the time it has; nothing when it isn't running. */
  restart(): void
  stop(): void
  isRunning(): boolean
  /** Milliseconds since it was last started or restarted. */
  silentMs(): number
}

/** When this process itself was late by more than that, a restart may be waiting unread in a socket. */
const ownDelayMs = 20

export function createCountdown(onExpired: (silentMs: number) => void): Countdown {
  let timeoutMs = 0
  let startedAt = 0
  let timer: NodeJS.Timeout | undefined

  const isDue = () => timer !== undefined && performance.now() - startedAt >= timeoutMs
  const look = () => {
    const leftMs = timeoutMs - (performance.now() - startedAt)
    if (leftMs > 0) timer = setTimeout(look, Math.ceil(leftMs))
    else if (leftMs < -ownDelayMs) setImmediate(expireIfDue)
    else expireIfDue()
  }
  const expireIfDue = () => {
    if (!isDue()) return
    timer = undefined
    onExpired(performance.now() - startedAt)
  }

  return {
    start(newTimeoutMs) {
      timeoutMs = newTimeoutMs
      startedAt = performance.now()
      clearTimeout(timer)
      timer = setTimeout(look, timeoutMs)
    },
    restart() {
      if (timer === undefined) return
      startedAt = performance.now()
      timer.refresh()
    },
    stop() {
      clearTimeout(timer)
      timer = undefined
    },
    isRunning: () => timer !== undefined,
    silentMs: () => performance.now() - startedAt,
  }
}
