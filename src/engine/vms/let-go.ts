/** Makes sure that a machine runs nowhere: every host that may hold it has let go, or is proven dead. */
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import { epochOn, ownersOf } from '../../model/migration/owners-of.ts'
import { proofReaches } from '../../model/proof-reaches.ts'
import type { AgentPort } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { authorityOf } from './host-for-storage.ts'

/** Asks every host that may hold it until it answers with the proof; a host that is proven dead counts as having let go. */
export async function letGo(
  leader: Leader,
  agents: AgentPort,
  { vmId, signal }: { readonly vmId: VmId; readonly signal: AbortSignal },
): Promise<void> {
  const letGoBy = new Set<HostId>()
  for (;;) {
    signal.throwIfAborted()
    const vm = leader.index.state().vms.get(vmId)
    const left = vm === undefined ? [] : ownersOf(vm).filter((hostId) => !letGoBy.has(hostId))
    if (vm === undefined || left.length === 0) return
    for (const hostId of left) if (await hasLetGo(leader, agents, { vm, hostId })) letGoBy.add(hostId)
    // Who has let go may be no owner any more: a move of it has ended meanwhile.
    if (left.some((hostId) => !letGoBy.has(hostId))) await leader.clock.sleep(300, signal)
  }
}

async function hasLetGo(
  leader: Leader,
  agents: AgentPort,
  { vm, hostId }: { readonly vm: VmRecord; readonly hostId: HostId },
): Promise<boolean> {
  const vmId = vm.spec.id
  const host = leader.index.state().hosts.get(hostId)
  const epoch = epochOn(vm, hostId)
  if (host === undefined)
    throw new DialtoneError('not-proven-dead', `the host of ${vm.spec.name} is no longer part of the cluster`)
  const { proof } = host.status
  if (epoch === undefined || (proof !== null && proofReaches(vm, proof))) return true
  if (host.status.state !== 'online' && host.status.state !== 'maintenance') return false
  return agents
    .releaseMachine(host.spec, { vmId, authority: authorityOf(leader, host), upToEpoch: epoch })
    .then(() => true)
    .catch((error: unknown) => {
      leader.logger.warn('vm.not-released', { vmId, host: host.spec.name, error })
      return false
    })
}
