/**
 * A machine whose storage refused a request stands still, and the request waits in it. It is told, and tried again from time to time: the
 * guest never hears of it.
 */
import type { RunningMachine } from '../hypervisor/hypervisor.ts'
import { guardMachine } from './guard-machine.ts'
import { become, type Keeping } from './keeping.ts'

const tryAgainMs = 1_000

/** Does nothing if it has gone on meanwhile, or is no machine of this host any more. */
export async function standStillForStorage(keeping: Keeping, machine: RunningMachine): Promise<void> {
  const { ports, vmId } = keeping
  const isAtWork = keeping.phase === 'running' || keeping.phase === 'stopping' || keeping.phase === 'frozen'
  if (machine !== keeping.running || keeping.isReleased || !isAtWork) return
  // One that doesn't answer at the moment has told it.
  if ((await machine.state().catch(() => 'io-error' as const)) !== 'io-error') return
  keeping.thawsAtMs = ports.clock.bootTimeMs() + tryAgainMs
  ports.logger.warn('machine.storage-error', { vmId, name: keeping.record.machine.name })
  become(
    keeping,
    'frozen',
    'its storage refused what it asked for: its vCPUs stand still, and it is tried again every second',
  )
  // What stands still with nothing in flight needs no licence. One that can't be drained needs it as before.
  await machine
    .pause()
    .then(() => guardMachine(keeping, true))
    .catch((error: unknown) => ports.logger.warn('machine.not-drained', { vmId, error }))
}
