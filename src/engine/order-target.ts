/** Whom an order goes to, and by what right: a host's agent, in the session that it has reported from. */
import { DialtoneError } from '../model/dialtone-error.ts'
import type { HostSpec } from '../model/host.ts'
import type { HostId, VmId } from '../model/ids.ts'
import type { OrderAuthority } from '../model/machine-order.ts'
import type { VmPlacement, VmSpec } from '../model/vm.ts'
import type { Leader } from './leader.ts'

export type OrderTarget = { readonly host: HostSpec; readonly authority: OrderAuthority }

/** Undefined for a host that isn't there or has not reported. */
export function orderTarget({ index, term }: Pick<Leader, 'index' | 'term'>, hostId: HostId): OrderTarget | undefined {
  const host = index.state().hosts.get(hostId)
  const session = host?.status.session
  return host === undefined || session === null || session === undefined
    ? undefined
    : { host: host.spec, authority: { term, session } }
}

export type MachineTarget = OrderTarget & {
  readonly spec: VmSpec
  readonly placement: VmPlacement
}

/** For an order about a machine where it is placed. Throws `wrong-state` when it is on no host that has reported. */
export function machineTarget(leader: Pick<Leader, 'index' | 'term'>, vmId: VmId): MachineTarget {
  const { spec, placement } = leader.index.state().vms.get(vmId) ?? {}
  const target = placement === undefined ? undefined : orderTarget(leader, placement.hostId)
  if (spec === undefined || placement === undefined || target === undefined)
    throw new DialtoneError('wrong-state', 'it is on no host that answers')
  return { ...target, spec, placement }
}
