/** Processors that come and go while the machine runs: by ACPI, in the order of their numbers, so that they are the same at every host. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { onlineProcessors } from './guest-agent.ts'
import type { QmpLine } from './qmp-session.ts'
import type { QmpCommands } from './qmp-types.ts'
import { unplugDevice } from './unplug-device.ts'

const commandTimeoutMs = 5000
/** The kernel of a guest sees a new one within a moment, and may wait to be told to use it. */
const onlineTimeoutMs = 5_000

type Slot = QmpCommands['query-hotpluggable-cpus']['returns'][number]

export async function countCpus(line: QmpLine): Promise<{ readonly cpus: number; readonly maximumCpus: number }> {
  const slots = await line.execute('query-hotpluggable-cpus', {}, commandTimeoutMs)
  return { cpus: slots.filter(isTaken).length, maximumCpus: slots.length }
}

/** See the port. `guestAgent`: the socket of the agent that tells the guest to use what came, where it doesn't by itself. */
export async function setCpus(
  line: QmpLine,
  count: number,
  { guestAgent, timeoutMs }: { readonly guestAgent: string; readonly timeoutMs: number },
): Promise<number> {
  let isMore = false
  for (;;) {
    const slots = inOrder(await line.execute('query-hotpluggable-cpus', {}, commandTimeoutMs))
    const taken = slots.filter(isTaken)
    if (taken.length === count) break
    const free = slots.find((slot) => !isTaken(slot))
    const last = taken.at(-1)
    if (taken.length < count) {
      if (free === undefined)
        throw new DialtoneError('wrong-state', `it has room for ${slots.length} processors, not for ${count}`)
      const { type: driver, props } = free
      await line.execute('device_add', { driver, id: `cpu${numberOf(free)}`, ...props }, commandTimeoutMs)
      isMore = true
    } else if (last === undefined || !(await letGo(line, last, timeoutMs))) return taken.length
  }
  // Nobody waits for it: a guest that uses them by itself needs nobody to tell it, and one without an agent can't be told.
  if (isMore) void onlineProcessors(guestAgent, count, onlineTimeoutMs).catch(() => undefined)
  return count
}

async function letGo(line: QmpLine, slot: Slot, timeoutMs: number): Promise<boolean> {
  const { 'qom-path': id = '' } = slot
  const isThere = async () => {
    const slots = await line.execute('query-hotpluggable-cpus', {}, commandTimeoutMs)
    return slots.some((one) => numberOf(one) === numberOf(slot) && isTaken(one))
  }
  return unplugDevice(line, { id, timeoutMs, isThere })
}

function isTaken(slot: Slot): boolean {
  return slot['qom-path'] !== undefined
}

function inOrder(slots: readonly Slot[]): readonly Slot[] {
  return slots.toSorted((left, right) => numberOf(left) - numberOf(right))
}

/** All of them are cores of one socket. */
function numberOf({ props }: Slot): number {
  return props['core-id'] ?? 0
}
