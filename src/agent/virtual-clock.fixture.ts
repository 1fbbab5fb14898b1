/** Time that stands still until a test lets it pass; whoever sleeps wakes in the order of time, then of going to sleep. */
import type { Clock } from '../model/clock.ts'

export type VirtualClock = Clock & {
  /** Lets that much time pass; what wakes on the way has run when it resolves. */
  advance(milliseconds: number): Promise<void>
  /** Lets that much time pass as for a process that is stopped: who should have woken meanwhile wakes when time goes on. */
  skip(milliseconds: number): void
  /** Runs everything that is ready, without letting time pass. */
  settle(): Promise<void>
}

type Sleeper = { readonly atMs: number; readonly wake: () => void }

/** Turns of the event loop that no chain of promises in these tests outlasts. */
const settlingTurns = 3

/** `isBusy`: whether something outside of this time is under way that has to end before time goes on, such as a program. */
export function createVirtualClock(startMs = 1_000_000, isBusy: () => boolean = () => false): VirtualClock {
  let nowMs = startMs
  let sleepers: readonly Sleeper[] = []

  const settle = async () => {
    for (let turn = 0; turn < settlingTurns; turn += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (isBusy()) turn = -1
    }
  }

  return {
    bootTimeMs: () => nowMs,
    wallTime: () => new Date(Date.UTC(2026, 0, 1) + nowMs),
    sleep(milliseconds, signal) {
      if (signal?.aborted === true) return Promise.resolve()
      return new Promise((resolve) => {
        const wake = () => {
          sleepers = sleepers.filter((one) => one !== sleeper)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        const sleeper = { atMs: nowMs + Math.max(0, milliseconds), wake }
        sleepers = [...sleepers, sleeper].sort((left, right) => left.atMs - right.atMs)
        signal?.addEventListener('abort', wake, { once: true })
      })
    },
    settle,
    skip(milliseconds) {
      nowMs += milliseconds
    },
    async advance(milliseconds) {
      const untilMs = nowMs + milliseconds
      await settle()
      for (let [first] = sleepers; first !== undefined && first.atMs <= untilMs; [first] = sleepers) {
        nowMs = Math.max(nowMs, first.atMs)
        first.wake()
        await settle()
      }
      nowMs = untilMs
    },
  }
}
