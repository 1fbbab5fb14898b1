/** Waits until a machine has what it is to have, or it is known why not. */
import { describePending, hasHeard, pendingOfVm } from '../../control/growth/pending-of-vm.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { VmId } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'
import { waitForVm } from './wait-for-vm.ts'

/** A guest that lets go does it within a second or two, and a busy one within this. */
const patienceMs = 40_000

export type FitOutcome = { readonly isFitted: boolean; readonly summary: string }

/** Resolves also when it did not come to be in time, with the reason: the machine goes on trying. `isMet`: what is waited for. */
export async function waitUntilFitted(
  leader: Leader,
  vmId: VmId,
  { isMet, signal }: { isMet(vm: VmRecord): boolean; readonly signal: AbortSignal },
): Promise<FitOutcome> {
  const inTime = new AbortController()
  const timer = new AbortController()
  void leader.clock.sleep(patienceMs, timer.signal).then(() => inTime.abort())
  try {
    await waitForVm(leader, vmId, {
      signal: AbortSignal.any([signal, inTime.signal]),
      condition: (vm) => (vm === undefined || isMet(vm) || onlyRestartHelps(vm) ? 'yes' : 'not-yet'),
    })
  } catch (error) {
    if (signal.aborted || !inTime.signal.aborted) throw error
  } finally {
    timer.abort()
  }
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) return { isFitted: true, summary: '' }
  return { isFitted: isMet(vm), summary: describePending(pendingOfVm(vm.spec, vm.status)) }
}

function onlyRestartHelps({ spec, status }: VmRecord): boolean {
  const pending = pendingOfVm(spec, status)
  return hasHeard(spec, status) && pending.length > 0 && pending.every(({ when }) => when === 'next-start')
}

/** The machine that runs was heard of since it was told, and something holds of what it has. One that doesn't run has it at its start. */
export function holdsOf(
  { spec, status }: VmRecord,
  holds: (hardware: NonNullable<NonNullable<VmRecord['status']>['hardware']>) => boolean,
): boolean {
  if (status === undefined || (status.state === 'stopped' && spec.desired === 'stopped')) return true
  const { hardware } = status
  return hardware !== null && hardware !== undefined && hasHeard(spec, status) && holds(hardware)
}
