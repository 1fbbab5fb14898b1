/** What the steps of a move ask of the present state: that it still goes on, and with what words its two hosts are addressed. */
import { isAnswering, type VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { VmMigration } from '../../model/migration/vm-migration.ts'
import type { MachineOrderHead } from '../agent-port.ts'
import type { Leader } from '../leader.ts'
import { orderTarget } from '../order-target.ts'

export type MovingVm = { readonly vm: VmRecord; readonly migration: VmMigration }

/** The machine and its record; throws why it is not to be moved any more. Before the change of owner only. */
export function requireGoingOn(leader: Leader, vmId: VmId): MovingVm {
  const state = leader.index.state()
  const { vm, migration } = requireMoving(leader, vmId)
  const { spec } = vm
  if (spec.lifecycle !== 'live') throw new DialtoneError('cancelled', `${spec.name} is being deleted`)
  if (spec.desired === 'stopped') throw new DialtoneError('cancelled', `${spec.name} is to be stopped`)
  for (const hostId of [migration.sourceHostId, migration.destinationHostId]) {
    const host = state.hosts.get(hostId)
    if (host === undefined || !isAnswering(host))
      throw new DialtoneError('host-unreachable', `${host?.spec.name ?? hostId} does not answer`)
  }
  if (state.hosts.get(migration.destinationHostId)?.status.session !== migration.session)
    throw new DialtoneError('session-void', 'the agent of the destination was restarted meanwhile')
  return { vm, migration }
}

/** The machine and its record, whatever speaks for or against the move. */
export function requireMoving(leader: Leader, vmId: VmId): MovingVm {
  const vm = leader.index.state().vms.get(vmId)
  const migration = vm?.migration
  if (vm === undefined || migration === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
  return { vm, migration }
}

/** For an order to one of the two; throws `host-unreachable` when it has not reported. */
export function headFor(
  leader: Leader,
  vmId: VmId,
  side: 'source' | 'destination',
): { readonly host: HostSpec; readonly head: MachineOrderHead } {
  const migration = leader.index.state().vms.get(vmId)?.migration
  if (migration === undefined) throw new DialtoneError('not-found', 'it is not being moved any more')
  const hostId = side === 'source' ? migration.sourceHostId : migration.destinationHostId
  const epoch = side === 'source' ? migration.sourceEpoch : migration.epoch
  const target = orderTarget(leader, hostId)
  if (target === undefined) throw new DialtoneError('host-unreachable', `${hostName(leader, hostId)} has not reported`)
  return { host: target.host, head: { vmId, authority: target.authority, epoch } }
}

export function hostName(leader: Leader, hostId: HostId): string {
  return leader.index.state().hosts.get(hostId)?.spec.name ?? hostId
}
