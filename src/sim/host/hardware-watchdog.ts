/** The watchdog outside of a simulated host: once armed, it resets the host when it wasn't petted in time, whatever goes on there. */
import type { HardwareWatchdog } from '../../agent/watchdog/hardware-watchdog.ts'
import type { WorldTime } from '../time/world-time.ts'

export type SimulatedHardwareWatchdog = {
  /** By the watchdog process of this boot. */
  arm(timeoutMs: number): HardwareWatchdog
  /** The host has lost power or was reset: it is armed anew by the next boot. */
  disarm(): void
}

export function createHardwareWatchdog(time: WorldTime, reset: () => void): SimulatedHardwareWatchdog {
  let callOff: (() => void) | undefined
  const disarm = () => {
    callOff?.()
    callOff = undefined
  }
  return {
    disarm,
    arm(timeoutMs) {
      const pet = () => {
        callOff?.()
        callOff = time.after(timeoutMs, reset)
      }
      pet()
      return { timeoutMs, isFinal: true, pet }
    },
  }
}
