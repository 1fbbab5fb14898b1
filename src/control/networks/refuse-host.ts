/** Whether a host can have the networks that a machine has cards in. Pure. */
import type { ClusterState, HostRecord } from '../../model/cluster-state.ts'
import { nicsOf } from '../../model/network.ts'
import type { VmSpec } from '../../model/vm.ts'

/** The first of the machine's networks that can't be on the host, and why; undefined when all of them can. */
export function refuseNetworks(
  { status }: HostRecord,
  vm: VmSpec,
  { networks }: Pick<ClusterState, 'networks'>,
): string | undefined {
  for (const { networkId } of nicsOf(vm)) {
    const network = networks.get(networkId)
    if (network === undefined) continue
    const reason = status.networkFaults[network.segment.kind]
    if (reason !== undefined) return `the machine's network ${network.name} can't be there: ${reason}`
  }
  return undefined
}
