/**
 * The one time of a simulated world. It stands still while anything runs: an event happens, everything that follows from it without time
 * passing happens too, and only then the next event's time has come.
 */
import { createEventQueue } from './event-queue.ts'

export type WorldTime = {
  nowMs(): number
  /** Has it happen at that moment; the answer calls it off. */
  at(atMs: number, run: () => void): () => void
  after(delayMs: number, run: () => void): () => void
  /** Lets time pass until then, or until `isOver` says so, which is asked before each event. */
  run(untilMs: number, isOver?: () => boolean): Promise<void>
  /** How many events have happened. */
  steps(): number
}

export function createWorldTime(): WorldTime {
  const queue = createEventQueue()
  let nowMs = 0
  let steps = 0

  const at = (atMs: number, run: () => void) => {
    const event = queue.add(Math.max(nowMs, atMs), run)
    return () => {
      event.isCancelled = true
    }
  }

  return {
    nowMs: () => nowMs,
    at,
    after: (delayMs, run) => at(nowMs + Math.max(0, delayMs), run),
    steps: () => steps,
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
        whenSettled(step)
      }
      whenSettled(step)
      return promise
    },
  }
}

/**
 * Ticks are run only when no microtask is left, those included that microtasks made: so a tick that is asked for by a microtask comes after
 * everything that follows from what has just happened. Twice, for streams, which do their work in ticks themselves. Nothing of the outside
 * world is waited for, and that makes it a hundred times faster than turns of the event loop.
 */
function whenSettled(next: () => void): void {
  queueMicrotask(() => process.nextTick(() => queueMicrotask(() => process.nextTick(next))))
}
