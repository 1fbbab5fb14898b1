/** Decisions about a VM that are writes: a new placement, or that it is down and meant to be. Conditional on what was decided from. */
import type { VmDecision } from '../../control/vm-decision.ts'
import type { HostRecord } from '../../model/cluster-state.ts'
import { isLeased, type VmRecord } from '../../model/cluster-state.ts'
import { describeProof } from '../../model/proof.ts'
import type { VmPlacement, VmStatus } from '../../model/vm.ts'
import type { Condition } from '../../store/store.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'

export type PlaceDecision = Extract<VmDecision, { readonly kind: 'place' }>
export type AcceptStopDecision = Extract<VmDecision, { readonly kind: 'accept-stop' }>

/**
 * What a decision about this VM rests on: the VM itself, and the host whose proof may have been used. To be taken in the same moment as the
 * state that is decided from.
 */
export function conditionsOf(leader: Leader, { spec, placement }: VmRecord): readonly Condition[] {
  const ofHost = placement === undefined ? [] : [unchanged(leader, keys.hostStatus(placement.hostId))]
  const ofVm = [keys.vm(spec.id), keys.vmPlacement(spec.id), keys.vmMigration(spec.id), keys.vmOperation(spec.id)]
  return [...ofVm.map((key) => unchanged(leader, key)), ...ofHost]
}

/** Stores the new placement; false when something it was decided from has changed meanwhile. */
export async function commitPlacement(
  leader: Leader,
  vm: VmRecord,
  how: { readonly decision: PlaceDecision; readonly conditions: readonly Condition[] },
): Promise<boolean> {
  const { decision, conditions } = how
  const host = leader.index.state().hosts.get(decision.hostId)
  if (host === undefined || host.status.state !== 'online' || host.status.session === null) return false
  if (host.spec.maintenance !== null) return false
  const placement = placementOf(leader, vm, { decision, host })
  if (placement === undefined) return false
  const why = decision.proof === null ? decision.reason : `${decision.reason}; proof: ${describeProof(decision.proof)}`
  const event = leader.events.write({
    kind: placement.lastRecovery?.at === placement.placedAt ? 'vm.recovered-on' : 'vm.placed',
    subject: vm.spec.name,
    message: `${host.spec.name}, epoch ${decision.epoch}: ${why}`,
    vmId: vm.spec.id,
    hostId: decision.hostId,
  })
  const ofStatus = unchanged(leader, keys.hostStatus(decision.hostId))
  const isCovered = conditions.some(({ key }) => key === ofStatus.key)
  // Its maintenance may begin in this very moment.
  const ofTarget = [unchanged(leader, keys.host(decision.hostId)), ...(isCovered ? [] : [ofStatus])]
  const writes = [put(keys.vmPlacement(vm.spec.id), placement), event]
  const result = await commitAndSee(leader, { conditions: [...conditions, ...ofTarget], writes })
  return result.kind === 'committed'
}

function placementOf(
  leader: Leader,
  vm: VmRecord,
  { decision, host }: { readonly decision: PlaceDecision; readonly host: HostRecord },
): VmPlacement | undefined {
  const { session, bootId, armed } = host.status
  if (session === null) return undefined
  const at = leader.clock.wallTime().toISOString()
  const isRecovery = decision.isRecovery && decision.proof !== null && vm.placement !== undefined
  const lastRecovery =
    isRecovery && decision.proof !== null && vm.placement !== undefined
      ? { at, fromHostId: vm.placement.hostId, proof: decision.proof }
      : (vm.placement?.lastRecovery ?? null)
  return {
    hostId: decision.hostId,
    epoch: decision.epoch,
    session,
    bootId: bootId ?? '',
    // Where nothing enforces a lease, none is counted on: there only power or a person can prove it dead.
    start: decision.start,
    leased: isLeased(vm.spec, leader.index.state().storages) && armed !== 'none',
    term: leader.term,
    placedAt: at,
    reason: decision.reason,
    proof: decision.proof,
    lastRecovery,
  }
}

/** Stores that the machine is down and that this is what its owner wants now. */
export async function commitAcceptedStop(
  leader: Leader,
  vm: VmRecord,
  how: { readonly decision: AcceptStopDecision; readonly conditions: readonly Condition[] },
): Promise<boolean> {
  const vmId = vm.spec.id
  const { reason } = how.decision
  const event = leader.events.write({ kind: 'vm.stopped', subject: vm.spec.name, message: reason, vmId })
  const status: VmStatus = {
    state: 'stopped',
    since: leader.clock.wallTime().toISOString(),
    hostId: vm.placement?.hostId ?? null,
    epoch: vm.placement?.epoch ?? 0,
    incarnation: vm.status?.incarnation ?? 0,
    pid: null,
    detail: reason,
    crashes: 0,
    recovery: null,
  }
  const writes = [
    put(keys.vm(vmId), { ...vm.spec, desired: 'stopped', stopMode: 'shutdown' }),
    put(keys.vmStatus(vmId), status),
    event,
  ]
  return (await commitAndSee(leader, { conditions: how.conditions, writes })).kind === 'committed'
}
