/** CLOCK_BOOTTIME in milliseconds: it never steps and counts while the machine sleeps. Leases are counted on it. Resolution 10 ms. */
import { uptime } from 'node:os'

export function bootTimeMs(): number {
  return Math.round(uptime() * 1000)
}
