/** The hardware that resets the host when it isn't petted. Armed once, it can't be disarmed (nowayout). */

import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { DialtoneError } from '../../model/dialtone-error.ts'

export type HardwareWatchdog = { pet(): void }

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

/** Linux's watchdog device: opening arms it, each written byte pets it. Its timeout and nowayout are set by the module's parameters. */
async function armDevice(path: string): Promise<HardwareWatchdog> {
  const device = await open(path, 'w')
  return { pet: () => void device.write('1').catch(() => undefined) }
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
      resolve({ pet: () => void socket.write('pet\n') })
    })
    socket.once('connect', () => socket.write(`arm ${timeoutMs}\n`))
  })
}
