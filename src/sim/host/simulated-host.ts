/** A simulated server: power, boots, a disk that outlives them, and the hardware that resets it. */
import type { HostSpec } from '../../model/host.ts'
import { defaultTimings } from '../../model/timings.ts'
import { createHardwareWatchdog } from './hardware-watchdog.ts'
import { bootHost, type HostBoot } from './host-boot.ts'
import { createHostDisk, cutCommandsOff } from './host-disk.ts'
import type { HostOptions } from './host-options.ts'
import { createImageCacheInMemory } from './image-cache-in-memory.ts'

export type SimulatedHost = {
  readonly spec: HostSpec
  readonly memoryMiB: number
  /** Undefined while it is off, or boots. */
  boot(): HostBoot | undefined
  /** It has no power, and doesn't boot. */
  isOff(): boolean
  /** Its machines' processes, agent and watchdog process end at this moment, without a word. */
  powerOff(reason: string): void
  /** Boots after a moment, if it is off. */
  powerOn(): void
  /** It has been up for long when the world begins. */
  beUp(): void
  reset(reason: string): void
  setWallOffset(offsetMs: number): void
}

const bootTakesMs = [1_500, 4_000] as const
/** Nearly all of K. */
const slowestResetMs = 0.9 * defaultTimings.killMs

export function createSimulatedHost(options: HostOptions): SimulatedHost {
  const { spec, time, random, observe } = options
  const disk = createHostDisk()
  const log = options.loggerOf('host')
  const hardware = createHardwareWatchdog(time, {
    takesMs: () => random.between(slowestResetMs / 3, slowestResetMs),
    reset: () => host.reset('its hardware watchdog was not petted in time'),
  })
  let boots = 0
  let boot: HostBoot | undefined
  let callOffBoot: (() => void) | undefined
  let wallOffsetMs = 0
  let lastPid = 1_000

  const body = {
    options,
    disk,
    images: createImageCacheInMemory(),
    hardware: options.hasHardwareWatchdog ? hardware : undefined,
    wallOffsetMs: () => wallOffsetMs,
    nextPid: () => ++lastPid,
  }
  const begin = () => {
    callOffBoot = undefined
    boots += 1
    boot = bootHost(boots, body)
    log.info('host.booted', { boot: boots })
    observe({ kind: 'host-on', hostName: spec.name, memoryMiB: options.memoryMiB })
  }

  const host: SimulatedHost = {
    spec,
    memoryMiB: options.memoryMiB,
    boot: () => boot,
    isOff: () => boot === undefined && callOffBoot === undefined,
    powerOff(reason) {
      callOffBoot?.()
      callOffBoot = undefined
      if (boot === undefined) return
      const ended = boot
      boot = undefined
      hardware.disarm()
      ended.cut()
      cutCommandsOff(disk)
      options.forgetSent()
      log.warn('host.ended', { reason })
      observe({ kind: 'host-off', hostName: spec.name, reason })
    },
    powerOn() {
      if (boot !== undefined || callOffBoot !== undefined) return
      const [least, most] = bootTakesMs
      callOffBoot = time.after(random.between(least, most), begin)
    },
    beUp() {
      callOffBoot = time.after(random.between(0, 200), begin)
    },
    reset(reason) {
      host.powerOff(reason)
      host.powerOn()
    },
    setWallOffset(offsetMs) {
      wallOffsetMs = offsetMs
    },
  }
  return host
}
