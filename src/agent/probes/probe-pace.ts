/** How often a service is asked, and how long for an answer. Pure. */

/** Until a service answers again: so often, for so long; after that, as often as while all is well. */
const hurriedPaces = [
  { untilMs: 30_000, everyMs: 5 },
  { untilMs: 5 * 60_000, everyMs: 100 },
] as const

/** Waits at least so many times as long as the interval between two checks. */
const shortestPatience = 4

/** Between the beginnings of two checks of a service that hasn't answered correctly for `hurriedForMs`. */
export function hurriedIntervalMs(hurriedForMs: number, everyMs: number): number {
  const pace = hurriedPaces.find(({ untilMs }) => hurriedForMs < untilMs)
  return Math.min(pace?.everyMs ?? everyMs, everyMs)
}

/**
 * How long the check of this number (from 0) waits while checks overlap. Packets to a dead machine are lost, so most checks must be given up
 * early; yet a slow service must be seen as well. So every second check waits for 4 intervals, every fourth for 8, every eighth for 16 and
 * so on: whatever the service's latency is, a check that is patient enough begins at least once in that time, and only two of each patience
 * are in flight.
 */
export function patienceMs(number: number, intervalMs: number, maxLatencyMs: number): number {
  if (number === 0) return maxLatencyMs
  const lowestBit = number & -number
  return Math.min(maxLatencyMs, shortestPatience * intervalMs * lowestBit)
}
