/**
 * The life of one simulated process: an agent, a watchdog process, a controller. It may be killed at any moment, and nothing of it happens
 * after that; or be stopped, and then its timers don't wake it, and what is sent to it waits, until it goes on.
 */
import type { Clock } from '../../model/clock.ts'
import type { WorldTime } from './world-time.ts'

/** The clocks of a machine: how fast its boot-time clock runs, since when, and what it believes the wall clock to be. */
export type MachineClock = {
  /** Milliseconds on it for one of the world's. */
  readonly rate: number
  readonly bootedAtMs: number
  wallOffsetMs(): number
}

export type ProcessLife = {
  readonly name: string
  readonly clock: Clock
  state(): 'running' | 'stopped' | 'dead'
  /** On its own clock, as `clock.sleep`, but for what is called off much more often than it happens. */
  after(delayMs: number, work: () => void): () => void
  /** Something comes in: taken up now, when the process goes on, or never. */
  enter(work: () => void): void
  /** What an outside promise brings, brought in. */
  gate<T>(outside: Promise<T>): Promise<T>
  /** Called at its death, unless it was called off; for what holds something for it outside. The process itself never gets to know. */
  onEnd(work: () => void): () => void
  stop(): void
  goOn(): void
  kill(): void
}

export function createProcessLife(name: string, time: WorldTime, machine: MachineClock): ProcessLife {
  const atEnd = new Set<() => void>()
  let state: 'running' | 'stopped' | 'dead' = 'running'
  let waiting: (() => void)[] = []

  const enter = (work: () => void) => {
    if (state === 'running') work()
    else if (state === 'stopped') waiting.push(work)
  }
  const life: ProcessLife = {
    name,
    clock: createClock(time, machine, enter),
    state: () => state,
    after: (delayMs, work) => time.after(delayMs / machine.rate, () => enter(work)),
    enter,
    onEnd(work) {
      if (state === 'dead') work()
      else atEnd.add(work)
      return () => void atEnd.delete(work)
    },
    gate: (outside) =>
      new Promise((resolve, reject) => {
        outside.then(
          (value) => enter(() => resolve(value)),
          (error: unknown) => enter(() => reject(error instanceof Error ? error : new Error(String(error)))),
        )
      }),
    stop() {
      if (state === 'running') state = 'stopped'
    },
    goOn() {
      if (state !== 'stopped') return
      state = 'running'
      const missed = waiting
      waiting = []
      // One event each: what one of them starts may come before the next.
      for (const work of missed) time.after(0, () => enter(work))
    },
    kill() {
      if (state === 'dead') return
      state = 'dead'
      waiting = []
      for (const work of atEnd) work()
      atEnd.clear()
    },
  }
  return life
}

/** As `src/linux/system-clock.ts` has it: the boot-time clock is read in steps of 10 ms. */
const clockStepMs = 10

function createClock(time: WorldTime, machine: MachineClock, enter: (work: () => void) => void): Clock {
  const sleepers = new WeakMap<AbortSignal, Set<() => void>>()
  /** One listener for each signal, however many sleep on it: adding one costs more than a whole sleep. */
  const sleepersOf = (signal: AbortSignal): Set<() => void> => {
    const known = sleepers.get(signal)
    if (known !== undefined) return known
    const made = new Set<() => void>()
    sleepers.set(signal, made)
    const wakeAll = () => {
      for (const wake of made) wake()
    }
    signal.addEventListener('abort', wakeAll, { once: true })
    return made
  }
  return {
    bootTimeMs: () => {
      const runsForMs = (time.nowMs() - machine.bootedAtMs) * machine.rate
      return Math.floor(runsForMs / clockStepMs) * clockStepMs
    },
    wallTime: () => new Date(Math.floor(time.wallTimeMs() + machine.wallOffsetMs())),
    sleep(milliseconds, signal) {
      if (signal?.aborted === true) return Promise.resolve()
      const delayMs = milliseconds / machine.rate
      if (signal === undefined) return new Promise((resolve) => void time.after(delayMs, () => enter(resolve)))
      return new Promise((resolve) => {
        const others = sleepersOf(signal)
        const wake = () => {
          callOff()
          others.delete(wake)
          resolve()
        }
        const callOff = time.after(delayMs, () => enter(wake))
        others.add(wake)
      })
    },
  }
}
