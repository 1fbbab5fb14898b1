/**
 * The one time of a simulated world. It stands still while anything runs: an event happens, everything that follows from it without time
 * passing happens too, and only then the next event's time has come.
 */
import { createEventQueue } from './event-queue.ts'

export type WorldTime = {
  nowMs(): number
  /** What a right clock on the wall shows. */
  wallTimeMs(): number
  /** Has it happen at that moment; the answer calls it off. */
  at(atMs: number, run: () => void): () => void
  after(delayMs: number, run: () => void): () => void
  /** Lets time pass until then, or until `isOver` says so, which is asked before each event. */
  run(untilMs: number, isOver?: () => boolean): Promise<void>
  /** How many events have happened. */
  steps(): number
  /** Streams do their work in ticks of the process: while there are any, those are waited for as well. The answer ends it. */
  withStream(): () => void
}

/** What the wall's clock shows when a world begins. */
export const firstWallMs = Date.UTC(2026, 0, 1)

export function createWorldTime(beginsAtWallMs = firstWallMs): WorldTime {
  const queue = createEventQueue()
  let nowMs = 0
  let steps = 0
  let streams = 0

  const at = (atMs: number, run: () => void) => {
    const event = queue.add(Math.max(nowMs, atMs), run)
    return () => {
      event.isCancelled = true
    }
  }

  return {
    nowMs: () => nowMs,
    wallTimeMs: () => beginsAtWallMs + nowMs,
    at,
    after: (delayMs, run) => at(nowMs + Math.max(0, delayMs), run),
    steps: () => steps,
    withStream() {
      streams += 1
      let isOver = false
      return () => {
        streams -= isOver ? 0 : 1
        isOver = true
      }
    },
    run(untilMs, isOver = () => false) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const step = () => {
        try {
          if (isOver()) return resolve()
          const event = queue.takeUntil(untilMs)
          if (event === undefined) {
            nowMs = Math.max(nowMs, untilMs)
            return resolve()
          }
          nowMs = event.atMs
          steps += 1
          event.run()
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)))
        }
        whenSettled(step, streams > 0)
      }
      whenSettled(step, true)
      return promise
    },
  }
}

/**
 * Ticks are run only when no microtask is left, those included that microtasks made: so a tick that is asked for by a microtask comes after
 * everything that follows from what has just happened. Nothing of the outside world is waited for, and that makes it a hundred times
 * faster than turns of the event loop.
 */
function whenSettled(next: () => void, isTwice: boolean): void {
  const tick = () => process.nextTick(next)
  queueMicrotask(isTwice ? () => process.nextTick(() => queueMicrotask(tick)) : tick)
}
