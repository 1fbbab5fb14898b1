/** The watchdog process of a simulated host: the product's guard, with the hardware outside, and the line to the agents of its host. */
import { createHostGuard } from '../../agent/watchdog/guard-host.ts'
import type { HostMachines } from '../../agent/watchdog/host-machines.ts'
import type { WatchdogLink } from '../../agent/watchdog/watchdog-link.ts'
import type { WatchdogAnswer, WatchdogState } from '../../agent/watchdog/watchdog-message.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Logger } from '../../model/logger.ts'
import { defaultTimings } from '../../model/timings.ts'
import type { ProcessLife } from '../time/process-life.ts'
import type { WorldTime } from '../time/world-time.ts'
import type { SimulatedHardwareWatchdog } from './hardware-watchdog.ts'

export type WatchdogProcess = {
  readonly life: ProcessLife
  /** A whole state from an agent, and the answer to it. */
  hear(state: WatchdogState): WatchdogAnswer
  armed(): WatchdogAnswer['armed']
}

export type WatchdogProcessOptions = {
  readonly life: ProcessLife
  readonly logger: Logger
  /** Undefined on a host without one. */
  readonly hardware: SimulatedHardwareWatchdog | undefined
  readonly machines: HostMachines
  killAgent(pid: number): void
}

/** As `src/agent/watchdog/main.ts`. */
export function startWatchdogProcess(options: WatchdogProcessOptions): WatchdogProcess {
  const { life, logger, machines, killAgent } = options
  const hardware = options.hardware?.arm(defaultTimings.watchdogMs)
  const guard = createHostGuard({ clock: life.clock, logger, hardware, machines, killAgent })
  const tick = async () => {
    for (;;) {
      guard.look()
      await life.clock.sleep(guard.timings().watchdogPetMs)
    }
  }
  void tick()
  logger.info('watchdog.started', { armed: guard.armed() })
  return {
    life,
    armed: guard.armed,
    hear(state) {
      guard.update(state)
      guard.look()
      return { sequence: state.sequence, armed: guard.armed() }
    },
  }
}

/** How long an agent waits for its watchdog process, as `src/agent/main.ts` has it. */
const tellDeadlineMs = 500
const socketTakesMs = 0.2

/** The agent's end: a line on the host itself, that finds the next watchdog process when one is gone. */
export function linkToWatchdog(
  time: WorldTime,
  life: ProcessLife,
  present: () => WatchdogProcess | undefined,
): WatchdogLink {
  let armed: WatchdogAnswer['armed'] = 'none'
  let sequence = 0
  const across = (to: ProcessLife, work: () => void) => void time.after(socketTakesMs, () => to.enter(work))
  return {
    armed() {
      // The first word of a watchdog process comes by itself.
      const watchdog = present()
      if (watchdog?.life.state() === 'running') armed = watchdog.armed()
      return armed
    },
    tell(state) {
      sequence += 1
      const mine = { sequence, ...state }
      const watchdog = present()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const gone = () => life.enter(() => reject(isGone()))
      const late = () =>
        reject(
          new DialtoneError('deadline-exceeded', `the watchdog process did not answer within ${tellDeadlineMs} ms`),
        )
      const callsOff = [life.after(tellDeadlineMs, late), watchdog?.life.onEnd(gone)]
      if (watchdog === undefined || watchdog.life.state() === 'dead') gone()
      else
        across(watchdog.life, () => {
          const answer = watchdog.hear(mine)
          across(life, () => {
            armed = answer.armed
            resolve()
          })
        })
      return promise.finally(() => {
        for (const callOff of callsOff) callOff?.()
      })
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
}

function isGone(): DialtoneError {
  return new DialtoneError('deadline-exceeded', 'the watchdog process is not there')
}
