import { orderTarget } from '../../engine/order-target.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ApiContext } from './api-context.ts'

/** Whom an order for the machine goes to; throws `wrong-state` when it is nowhere, `host-unreachable` when its host does not answer. */
export function whereItIs({ engine }: ApiContext, vm: VmRecord) {
  const { placement } = vm
  const host = placement === undefined ? undefined : engine.leader.index.state().hosts.get(placement.hostId)
  const target = placement === undefined ? undefined : orderTarget(engine.leader, placement.hostId)
  if (placement === undefined || host === undefined || target === undefined)
    throw new DialtoneError('wrong-state', `${vm.spec.name} is on no host`)
  if (host.status.state !== 'online' && host.status.state !== 'maintenance')
    throw new DialtoneError('host-unreachable', `${host.spec.name}, where ${vm.spec.name} is, is ${host.status.state}`)
  return { ...target, placement }
}
