/** What a machine's licence asks for: freeze when it is about to end, go on when it is back, die when a pill was read. */
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { guardMachine } from './guard-machine.ts'
import { become, enqueue, type Keeping, whenStill } from './keeping.ts'
import { sharedStoragesOf } from './launch-machine.ts'
import { release } from './machine-life.ts'
import { awaitsStorage, tryStorageAgain } from './stand-still-on-storage-error.ts'

export async function applyLicence(keeping: Keeping): Promise<void> {
  const { record, ports, phase } = keeping
  if (keeping.running === undefined) return
  if (!record.machine.leased) return awaitsStorage(keeping) ? undefined : goOnAfterStorageError(keeping)
  // A release that could not reap it is tried again: what was released is not to live.
  if (keeping.isReleased) return release(keeping, 'its release was tried again')
  const verdict = ports.licences.judge(sharedStoragesOf(record.machine, ports), ports.clock.bootTimeMs())
  if (verdict.kind === 'kill') return release(keeping, verdict.reason)
  if ((verdict.kind === 'freeze' || keeping.isStandingInDoubt) && phase === 'running') {
    return enqueue(keeping, () => whenStill(keeping, 'running', (machine) => freeze(keeping, machine)))
  }
  // What was handed over may run elsewhere by now: a licence alone doesn't let it go on.
  if (verdict.kind === 'licensed' && phase === 'frozen' && record.handedOverTo === null) {
    if (awaitsStorage(keeping)) return
    if (keeping.storageTrouble !== undefined) return goOnAfterStorageError(keeping)
    return enqueue(keeping, () => whenStill(keeping, 'frozen', (machine) => thaw(keeping, machine)))
  }
}

function goOnAfterStorageError(keeping: Keeping): Promise<void> {
  return enqueue(keeping, () =>
    whenStill(keeping, 'frozen', (machine) => tryStorageAgain(keeping, machine, () => goOn(keeping, machine))),
  )
}

/**
 * First it stands still with no write in flight, then the watchdog is told that it needs no licence. It is frozen also when the watchdog
 * does not answer: that is told again and again, and only a thaw, which takes it back first, lets the vCPUs run. One that does not confirm
 * that it stands still is told so until it does, also when its licence is back: only then it can be let go on.
 */
async function freeze(keeping: Keeping, machine: RunningMachine): Promise<void> {
  keeping.isStandingInDoubt = true
  await machine.pause()
  keeping.isStandingInDoubt = false
  become(
    keeping,
    'frozen',
    'the lease has run out and a slot cannot be read: its vCPUs stand still until one of them is back',
  )
  await guardMachine(keeping, true)
}

/** The watchdog hears first: from here on the machine needs its licence again. */
async function thaw(keeping: Keeping, machine: RunningMachine): Promise<void> {
  if (keeping.record.handedOverTo !== null) return
  await guardMachine(keeping, false)
  await machine.resume()
  await goOn(keeping, machine)
}

/** Its vCPUs run again. What was ordered while it could not listen is done now. */
async function goOn(keeping: Keeping, machine: RunningMachine): Promise<void> {
  if (keeping.record.wanted === 'running') return become(keeping, 'running', '')
  await machine.pressPowerButton()
  become(keeping, 'stopping', 'its power button was pressed')
}
