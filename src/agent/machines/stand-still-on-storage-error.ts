/**
 * A machine whose disk returned an error stands still in the middle of its request (QEMU's `werror=stop`), and nothing of it is lost. It is
 * tried again, less and less often, until its storage takes the request: then it goes on where it was. Until then it is told as frozen,
 * and as no write of it is in flight it needs no licence, as any other frozen machine.
 */
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { guardMachine } from './guard-machine.ts'
import { become, enqueue, type Keeping, whenStill } from './keeping.ts'

const firstWaitMs = 1_000
const longestWaitMs = 8_000
/** A request that is taken up again fails again at once, if it does. */
const settledAfterMs = 500

/** The machine says that a disk of it returned an error. */
export async function noteStorageError(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { storageTrouble, ports } = keeping
  if (storageTrouble !== undefined) storageTrouble.errors += 1
  else {
    keeping.storageTrouble = {
      errors: 1,
      waitMs: firstWaitMs,
      retryAtMs: ports.clock.bootTimeMs() + firstWaitMs,
      isStill: false,
      failure: undefined,
    }
    await enqueue(keeping, async () => {
      const isAtWork = keeping.phase === 'running' || keeping.phase === 'stopping'
      if (machine !== keeping.running || keeping.isReleased || !isAtWork) return
      become(keeping, 'frozen', 'its storage returned an error: it stands still, and goes on when the storage works')
      await standStill(keeping, machine)
    })
  }
}

/** True while it is not due to be tried again. */
export function awaitsStorage({ storageTrouble, ports }: Keeping): boolean {
  return storageTrouble !== undefined && ports.clock.bootTimeMs() < storageTrouble.retryAtMs
}

/** Lets it run; what runs well for a moment is well. To be called in its queue, while it stands still and has a licence if it needs one. */
export async function tryStorageAgain(
  keeping: Keeping,
  machine: RunningMachine,
  goesOn: () => Promise<void>,
): Promise<void> {
  const { storageTrouble: trouble, ports } = keeping
  // It may have been tried since this was queued.
  if (trouble === undefined || awaitsStorage(keeping)) return
  const before = trouble.errors
  trouble.retryAtMs = ports.clock.bootTimeMs() + settledAfterMs + trouble.waitMs
  trouble.isStill = false
  await guardMachine(keeping, false)
  await machine.resume()
  // Nobody waits for it: what is ordered meanwhile is done.
  const settle = async () => {
    await ports.clock.sleep(settledAfterMs)
    await enqueue(keeping, () =>
      whenStill(keeping, 'frozen', async (present) => {
        if (present !== machine || keeping.storageTrouble !== trouble) return
        if (trouble.errors > before) {
          await standStill(keeping, machine)
          trouble.waitMs = Math.min(longestWaitMs, 2 * trouble.waitMs)
          trouble.retryAtMs = ports.clock.bootTimeMs() + trouble.waitMs
          return
        }
        keeping.storageTrouble = undefined
        await goesOn()
        await trouble.failure?.()
      }),
    )
  }
  settle().catch((error: unknown) => ports.logger.warn('machine.storage-not-tried', { vmId: keeping.vmId, error }))
}

/** QEMU drains before it answers: nothing is in flight then. One that can't be drained needs its licence as before. */
async function standStill(keeping: Keeping, machine: RunningMachine): Promise<void> {
  try {
    await machine.pause()
    if (keeping.storageTrouble !== undefined) keeping.storageTrouble.isStill = true
    await guardMachine(keeping, true)
  } catch (error) {
    keeping.ports.logger.warn('machine.not-drained', { vmId: keeping.vmId, error })
  }
}
