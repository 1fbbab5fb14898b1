/** A machine that an earlier agent started is found again: what it is, what it was about to be, and what it does while nobody knows. */
import type { MachinePhase } from '../../model/vm.ts'
import type { MachineState, RunningMachine } from '../hypervisor/hypervisor.ts'
import { bootDisksOf } from '../recovery/machine-shape.ts'
import { currentLayerOf } from '../recovery/take-instant.ts'
import { guardMachine } from './guard-machine.ts'
import { become, enqueue, type Keeping, reapWithinMs } from './keeping.ts'
import { goOnWith, inBackground, recoverDead } from './machine-life.ts'
import { noteStorageError } from './stand-still-on-storage-error.ts'

/** One that didn't answer is asked again so often. */
const askAgainMs = 1_000

/** Takes over a process that an earlier agent started. */
export async function adopt(keeping: Keeping, running: RunningMachine): Promise<void> {
  keeping.running = running
  await guardMachine(keeping, false)
  // One that doesn't answer at the moment is there all the same: it is guarded, followed and can be killed.
  const told = await running.state().catch(() => undefined)
  const state = told ?? 'running'
  const phase = phaseOf(keeping, state)
  // It was being started, or waited for a licence. Before anything lets it run, its disks are looked at.
  const isHandedOver = keeping.record.handedOverTo !== null
  if (phase === 'frozen' && !isHandedOver)
    inBackground(keeping, () => enqueue(keeping, () => settleStart(keeping, running)))
  become(keeping, phase, 're-adopted')
  if (phase === 'frozen') await guardMachine(keeping, true)
  inBackground(keeping, async () => {
    await goOnWith(keeping, running)
    if (state === 'io-error') await noteStorageError(keeping, running)
    if (told === undefined) await believeWhenItAnswers(keeping, running)
  })
}

/** Nothing is known of one that did not answer when it was taken over, or was to be paused: it may stand still all the time. */
export async function believeWhenItAnswers(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const isDoubtful = () => machine === keeping.running && !keeping.isReleased && keeping.phase === 'running'
  for (;;) {
    await keeping.ports.clock.sleep(askAgainMs)
    if (!isDoubtful()) return
    // Whatever makes it stand still for a moment on purpose lets it go on.
    if (isHeldUp(keeping)) continue
    const state = await machine.state().catch(() => undefined)
    if (state === undefined) continue
    if (state === 'io-error') return noteStorageError(keeping, machine)
    return enqueue(keeping, async () => {
      // What was done in its turn since it answered is newer.
      if (!isDoubtful() || isHeldUp(keeping) || (await machine.state()) !== 'paused') return
      become(keeping, phaseOf(keeping, 'paused'), 'it stood still when it answered again')
      if (keeping.record.handedOverTo === null) await settleStart(keeping, machine)
    })
  }
}

function isHeldUp({ image, hold, snapshotWork }: Keeping): boolean {
  return image.isCapturing || hold !== undefined || snapshotWork !== undefined
}

function phaseOf({ record }: Keeping, state: MachineState): MachinePhase {
  if (record.wanted === 'stopped') return 'stopping'
  if (state !== 'paused') return 'running'
  return record.isPaused ? 'paused' : 'frozen'
}

/** One that was taken over, but not its disks, never ran: what it would write is not what the next life would find. */
async function settleStart(keeping: Keeping, machine: RunningMachine): Promise<void> {
  if (machine !== keeping.running || keeping.isReleased || keeping.phase !== 'frozen') return
  const isSafe = await isOnItsDisks(keeping, machine).catch(() => true)
  if (!isSafe) {
    keeping.running = undefined
    await machine.kill(reapWithinMs)
    machine.detach()
    return recoverDead(keeping, 'the agent ended while it was being taken over')
  }
  if (keeping.record.machine.leased) return
  await machine.resume()
  become(keeping, 'running', '')
}

/** What it writes to is what is current; a storage that can't be looked at is taken on trust by the caller. */
async function isOnItsDisks({ record, ports }: Keeping, machine: RunningMachine): Promise<boolean> {
  const paths = await machine.diskPaths()
  for (const disk of bootDisksOf(record.machine)) {
    if (disk.format !== 'qcow2') continue
    const current = await ports.storage(disk.storageId).layerPath(disk.volumeId, await currentLayerOf(disk, ports))
    if (paths.get(disk.volumeId) !== current) return false
  }
  return true
}
