/** The machine's own clock. `os.uptime` reads CLOCK_BOOTTIME, in steps of 10 ms. */
import { uptime } from 'node:os'
import type { Clock } from '../model/clock.ts'

export const systemClock: Clock = {
  bootTimeMs: () => uptime() * 1000,
  wallTime: () => new Date(),
  sleep(milliseconds, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve()
      const finish = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, milliseconds)
      signal?.addEventListener('abort', finish)
    })
  },
}
