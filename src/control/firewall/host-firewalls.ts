/** What each host has to know of security groups: those of its machines, with other groups resolved to addresses. Pure. */
import type { ClusterState } from '../../model/cluster-state.ts'
import type { FilterRule, HostFirewall, SecurityRule } from '../../model/firewall.ts'
import type { HostId, SecurityGroupId } from '../../model/ids.ts'
import { ownersOf } from '../../model/migration/owners-of.ts'
import { nicsOf } from '../../model/network.ts'
import type { VmSpec } from '../../model/vm.ts'
import { addressToNumber } from '../ipv4.ts'

/**
 * Of the hosts that have such machines, are about to, or would take one over. Same cluster, same answer to the letter: hosts are told anew when it
 * differs.
 */
export function hostFirewalls({
  vms,
  securityGroups,
}: Pick<ClusterState, 'vms' | 'securityGroups'>): ReadonlyMap<HostId, HostFirewall> {
  const members = new Map<SecurityGroupId, string[]>()
  const machines = new Map<HostId, VmSpec[]>()
  for (const vm of vms.values()) {
    const { spec, standby } = vm
    const addresses = nicsOf(spec).map(({ address }) => address)
    for (const groupId of spec.securityGroupIds) members.set(groupId, [...(members.get(groupId) ?? []), ...addresses])
    if (spec.securityGroupIds.length === 0) continue
    const hostIds = new Set([...ownersOf(vm), ...(standby === undefined ? [] : [standby.hostId])])
    for (const hostId of hostIds) machines.set(hostId, [...(machines.get(hostId) ?? []), spec])
  }
  for (const addresses of members.values()) addresses.sort((a, b) => addressToNumber(a) - addressToNumber(b))
  const rulesOf = (groupId: SecurityGroupId) =>
    (securityGroups.get(groupId)?.rules ?? []).map((rule) => resolveRule(rule, members))
  return new Map(
    [...machines].map(([hostId, specs]) => {
      const groupIds = [...new Set(specs.flatMap(({ securityGroupIds }) => securityGroupIds))].sort()
      return [
        hostId,
        {
          groups: groupIds.map((id) => ({ id, rules: rulesOf(id) })),
          machines: specs
            .map(({ id, securityGroupIds }) => ({ vmId: id, groupIds: [...securityGroupIds].sort() }))
            .sort((left, right) => left.vmId.localeCompare(right.vmId)),
        },
      ]
    }),
  )
}

/** A group that no machine has is nobody. */
function resolveRule(
  { direction, protocol, ports, peer }: SecurityRule,
  members: ReadonlyMap<SecurityGroupId, readonly string[]>,
): FilterRule {
  switch (peer.kind) {
    case 'any':
      return { direction, protocol, ports, peers: null }
    case 'network':
      return { direction, protocol, ports, peers: [peer.cidr] }
    case 'group':
      return { direction, protocol, ports, peers: [...(members.get(peer.groupId) ?? [])] }
  }
}
