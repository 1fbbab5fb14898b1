/** For how long machines stand still: by what QEMU says when they stop and go on, whatever they stop for. */
import type { Clock } from '../../model/clock.ts'
import type { RunningMachine } from '../hypervisor/hypervisor.ts'

type Watchable = Pick<RunningMachine, 'onEvent'>

export type PauseWatch = {
  /** The longest it stood still since it was asked last, counting what still goes on. Watches a process from the first question on. */
  longestMs(machine: Watchable): number
}

type Watched = { stoppedAtMs: number | undefined; longestMs: number }

export function createPauseWatch(clock: Pick<Clock, 'bootTimeMs'>): PauseWatch {
  const watched = new WeakMap<Watchable, Watched>()
  const watch = (machine: Watchable): Watched => {
    const one: Watched = { stoppedAtMs: undefined, longestMs: 0 }
    machine.onEvent((event) => {
      if (event.kind !== 'state') return
      if (event.state !== 'running') one.stoppedAtMs ??= clock.bootTimeMs()
      else if (one.stoppedAtMs !== undefined) {
        one.longestMs = Math.max(one.longestMs, clock.bootTimeMs() - one.stoppedAtMs)
        one.stoppedAtMs = undefined
      }
    })
    watched.set(machine, one)
    return one
  }
  return {
    longestMs(machine) {
      const one = watched.get(machine) ?? watch(machine)
      const present = one.stoppedAtMs === undefined ? 0 : clock.bootTimeMs() - one.stoppedAtMs
      const longest = Math.max(one.longestMs, present)
      one.longestMs = 0
      return longest
    },
  }
}
