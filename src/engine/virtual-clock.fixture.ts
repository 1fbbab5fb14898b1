/** Time that stands still until a test lets it pass; whoever sleeps wakes in the order of time, then of going to sleep. */
import type { Clock } from '../model/clock.ts'

export type VirtualClock = Clock & {
  /** Lets that much time pass; everything that wakes on the way has run when it resolves. */
  advance(milliseconds: number): Promise<void>
  /** Lets time pass until the condition holds; throws with the name when it doesn't within `withinMs`. */
  until(name: string, condition: () => boolean, withinMs?: number): Promise<void>
}

type Sleeper = { readonly atMs: number; readonly order: number; wake(): void }

export function createVirtualClock(startMs = 1_000_000): VirtualClock {
  let nowMs = startMs
  let order = 0
  const sleepers = new Set<Sleeper>()

  /** Runs everything that is ready, without letting time pass. */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

  const next = (beforeMs: number): Sleeper | undefined => {
    let first: Sleeper | undefined
    for (const sleeper of sleepers) {
      if (sleeper.atMs > beforeMs) continue
      if (
        first === undefined ||
        sleeper.atMs < first.atMs ||
        (sleeper.atMs === first.atMs && sleeper.order < first.order)
      )
        first = sleeper
    }
    return first
  }

  const stepTo = async (untilMs: number): Promise<boolean> => {
    const sleeper = next(untilMs)
    if (sleeper === undefined) return false
    nowMs = Math.max(nowMs, sleeper.atMs)
    sleeper.wake()
    await settle()
    return true
  }

  return {
    bootTimeMs: () => nowMs,
    wallTime: () => new Date(Date.UTC(2026, 0, 1) + nowMs),
    sleep(milliseconds, signal) {
      if (signal?.aborted === true) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = () => {
          sleepers.delete(sleeper)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        order += 1
        const sleeper: Sleeper = { atMs: nowMs + Math.max(0, milliseconds), order, wake }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', wake, { once: true })
      })
    },
    async advance(milliseconds) {
      const untilMs = nowMs + milliseconds
      await settle()
      while (await stepTo(untilMs));
      nowMs = untilMs
    },
    async until(name, condition, withinMs = 60_000) {
      const untilMs = nowMs + withinMs
      await settle()
      while (!condition()) {
        if (!(await stepTo(untilMs))) throw new Error(`this did not come true within ${withinMs} ms: ${name}`)
      }
    },
  }
}
