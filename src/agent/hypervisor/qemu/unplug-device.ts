/** Takes a device out of a machine that runs: its guest is asked, and has to let go. */
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 5000
const lookAgainMs = 100

/** Resolves when `isThere` says no; false when it still does after this time: the guest keeps it. */
export async function unplugDevice(
  line: QmpLine,
  device: { readonly id: string; readonly timeoutMs: number; isThere(): Promise<boolean> },
): Promise<boolean> {
  const givesUpAt = performance.now() + device.timeoutMs
  let wake = (): void => undefined
  const stopListening = line.listen(({ event }) => {
    if (event === 'DEVICE_DELETED') wake()
  })
  try {
    let isAsked = false
    while (await device.isThere()) {
      if (performance.now() > givesUpAt) return false
      const deleted = new Promise<void>((resolve) => {
        wake = resolve
      })
      if (!isAsked) await askToLetGo(line, device.id)
      isAsked = true
      await Promise.race([deleted, delay(lookAgainMs, undefined, { ref: false })])
    }
    return true
  } finally {
    stopListening()
  }
}

/** An earlier agent may have asked already. */
async function askToLetGo(line: QmpLine, id: string): Promise<void> {
  try {
    await line.execute('device_del', { id }, commandTimeoutMs)
  } catch (error) {
    if (error instanceof DialtoneError && error.message.includes('in the process of unplug')) return
    throw error
  }
}
