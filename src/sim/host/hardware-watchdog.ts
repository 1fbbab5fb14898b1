/** The watchdog outside of a simulated host: once armed, it resets the host when it wasn't petted in time, whatever goes on there. */
import type { HardwareWatchdog } from '../../agent/watchdog/hardware-watchdog.ts'
import type { WorldTime } from '../time/world-time.ts'

export type SimulatedHardwareWatchdog = {
  /** By the watchdog process of this boot. */
  arm(timeoutMs: number): HardwareWatchdog
  /** The host has lost power or was reset: it is armed anew by the next boot. */
  disarm(): void
}

/** `takesMs`: K, from the end of its time to the last instruction of the host. */
export function createHardwareWatchdog(
  time: WorldTime,
  { takesMs, reset }: { takesMs(): number; reset(): void },
): SimulatedHardwareWatchdog {
  let callOff: (() => void) | undefined
  let hasFired = false
  const disarm = () => {
    callOff?.()
    callOff = undefined
    hasFired = false
  }
  const fire = () => {
    hasFired = true
    callOff = time.after(takesMs(), reset)
  }
  return {
    disarm,
    arm(timeoutMs) {
      const pet = () => {
        if (hasFired) return
        callOff?.()
        callOff = time.after(timeoutMs, fire)
      }
      pet()
      return { timeoutMs, isFinal: true, pet }
    },
  }
}
