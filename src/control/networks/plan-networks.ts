/**
 * What each host has to have of which network: devices only where a machine of the network is or would go, and a forwarding table that
 * says where everybody is, so that no host has to learn it from what it hears. Pure: same cluster, same plan.
 */
import type { HostNetwork } from '../../model/agent-protocol/host-network.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import { ownersOf } from '../../model/migration/owners-of.ts'
import { nicsOf, type VirtualNetwork, type VmNic } from '../../model/network.ts'

export type NetworkPlan = ReadonlyMap<HostId, readonly HostNetwork[]>

type Member = { readonly vm: VmRecord; readonly nic: VmNic }

export function planNetworks(cluster: ClusterState): NetworkPlan {
  const plan = new Map<HostId, HostNetwork[]>()
  const networks = [...cluster.networks.values()].sort((left, right) => left.number - right.number)
  if (networks.length === 0) return plan
  const members = membersByNetwork(cluster)
  for (const network of networks) {
    for (const [hostId, share] of planNetwork(cluster, network, members.get(network.id) ?? []))
      plan.set(hostId, [...(plan.get(hostId) ?? []), share])
  }
  return plan
}

function membersByNetwork(cluster: ClusterState): ReadonlyMap<string, readonly Member[]> {
  const members = new Map<string, Member[]>()
  for (const vm of cluster.vms.values()) {
    for (const nic of nicsOf(vm.spec)) members.set(nic.networkId, [...(members.get(nic.networkId) ?? []), { vm, nic }])
  }
  return members
}

function planNetwork(
  cluster: ClusterState,
  network: VirtualNetwork,
  members: readonly Member[],
): readonly (readonly [HostId, HostNetwork])[] {
  const hostIds = [...new Set(members.flatMap(({ vm }) => hostsOf(vm)))].sort()
  const addressOf = (hostId: HostId) => cluster.hosts.get(hostId)?.spec.address
  const here = hostIds.flatMap((hostId) => {
    const address = addressOf(hostId)
    return address === undefined ? [] : [{ hostId, address }]
  })
  const names = members
    .map(({ vm, nic }) => ({ name: vm.spec.name, address: nic.address, address6: nic.address6 }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
  const placed = members.flatMap(({ vm, nic }) => {
    const hostAddress = vm.placement === undefined ? undefined : addressOf(vm.placement.hostId)
    return hostAddress === undefined ? [] : [{ macAddress: nic.macAddress, hostAddress }]
  })
  placed.sort((left, right) => (left.macAddress < right.macAddress ? -1 : 1))
  const { id, name, number, segment, mtu, pool, prefix6, domain, uplink } = network
  const common = { networkId: id, name, number, segment, mtu, prefix6, domain, uplink, names }
  const { subnet, gateway } = pool
  return here.map(({ hostId, address }) => [
    hostId,
    {
      ...common,
      subnet,
      gateway,
      localAddress: address,
      peers: here.filter((other) => other.hostId !== hostId).map((other) => other.address),
      forwarding: placed.filter(({ hostAddress }) => hostAddress !== address),
    },
  ])
}

/** Where it is, and where it would go. */
function hostsOf(vm: VmRecord): readonly HostId[] {
  return [...ownersOf(vm), ...(vm.standby === undefined ? [] : [vm.standby.hostId])]
}
