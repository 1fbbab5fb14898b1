import type { SecurityGroupView } from '../../model/api/firewall-routes.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import { describeRule, type SecurityGroup } from '../../model/firewall.ts'

/** A security group as callers see it: with its rules in words, and the VMs that have it. */
export function securityGroupView(
  { securityGroups, vms }: Pick<ClusterState, 'securityGroups' | 'vms'>,
  group: SecurityGroup,
): SecurityGroupView {
  const nameOf = (groupId: SecurityGroup['id']) => securityGroups.get(groupId)?.name ?? groupId
  return {
    ...group,
    rules: group.rules.map((rule) => ({ ...rule, sentence: describeRule(rule, nameOf) })),
    vmNames: [...vms.values()]
      .filter(({ spec }) => spec.securityGroupIds.includes(group.id))
      .map(({ spec }) => spec.name)
      .sort(),
  }
}
