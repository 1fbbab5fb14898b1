/** The hardware that resets the host when it isn't petted. Armed once, it can't be disarmed (nowayout). */

import { open, readFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { basename } from 'node:path'
import { DialtoneError } from '../../model/dialtone-error.ts'

export type HardwareWatchdog = {
  /** It resets the host when it wasn't petted for this long. */
  readonly timeoutMs: number
  /** True when nothing that runs on the host can disarm it any more. */
  readonly isFinal: boolean
  pet(): void
}

export type HardwareWatchdogConfig =
  | { readonly kind: 'emulated'; readonly socket: string }
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'none' }

/** Arms it with this timeout; undefined when the host has none. */
export async function armHardwareWatchdog(
  config: HardwareWatchdogConfig,
  timeoutMs: number,
): Promise<HardwareWatchdog | undefined> {
  switch (config.kind) {
    case 'none':
      return undefined
    case 'device':
      return armDevice(config.path)
    case 'emulated':
      return armEmulated(config.socket, timeoutMs)
  }
}

/**
 * Linux's watchdog device: opening arms it, each written byte pets it. Its timeout and nowayout are set by the module's parameters, and
 * told by sysfs (Documentation/ABI/testing/sysfs-class-watchdog); one that doesn't tell counts as slow and not final.
 */
async function armDevice(path: string): Promise<HardwareWatchdog> {
  const name = basename(path) === 'watchdog' ? 'watchdog0' : basename(path)
  const read = (attribute: string) => readFile(`/sys/class/watchdog/${name}/${attribute}`, 'utf8').catch(() => '')
  const timeoutSeconds = Number.parseInt(await read('timeout'), 10)
  const isFinal = (await read('nowayout')).trim() === '1'
  const device = await open(path, 'w')
  return {
    timeoutMs: Number.isNaN(timeoutSeconds) ? Infinity : timeoutSeconds * 1000,
    isFinal,
    pet: () => void device.write('1').catch(() => undefined),
  }
}

/** The laboratory's emulation: a line protocol to a process outside the host. */
function armEmulated(path: string, timeoutMs: number): Promise<HardwareWatchdog> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(path)
    const fail = (cause: Error) =>
      reject(new DialtoneError('machine-setup', `the hardware watchdog at ${path} does not answer`, { cause }))
    socket.once('error', fail)
    socket.setEncoding('utf8')
    socket.once('data', (line: string) => {
      if (!line.startsWith('armed')) return fail(new Error(line.trim()))
      socket.off('error', fail)
      // When the hardware goes away there is nobody left to pet; the process ends and its supervisor starts it anew.
      socket.once('close', () => process.exit(1))
      socket.on('error', () => undefined)
      resolve({ timeoutMs, isFinal: true, pet: () => void socket.write('pet\n') })
    })
    socket.once('connect', () => socket.write(`arm ${timeoutMs}\n`))
  })
}
