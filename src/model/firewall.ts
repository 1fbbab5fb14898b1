/** What machines may send and be sent: groups of rules that a VM's owner applies to it, and what a host is told of them. */
import { z } from 'zod'
import { ipv4AddressSchema } from './hardware.ts'
import { nameSchema, type SecurityGroupId, securityGroupIdSchema, vmIdSchema } from './ids.ts'

export const filterDirectionSchema = z.enum(['in', 'out'])
export const filterProtocolSchema = z.enum(['tcp', 'udp', 'icmp', 'any'])

const portSchema = z.number().int().min(1).max(65535)
export const portRangeSchema = z
  .object({ from: portSchema, to: portSchema })
  .refine(({ from, to }) => from <= to, 'the first port of a range must not be above the last')
export type PortRange = z.infer<typeof portRangeSchema>

/** Who is at the other end: anybody, an address range, or the machines of a group. */
export const filterPeerSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('any') }),
  z.object({ kind: z.literal('network'), cidr: z.cidrv4() }),
  z.object({ kind: z.literal('group'), groupId: securityGroupIdSchema }),
])
export type FilterPeer = z.infer<typeof filterPeerSchema>

/** What is let through. Without ports: all of them. */
export const securityRuleSchema = z
  .object({
    direction: filterDirectionSchema,
    protocol: filterProtocolSchema,
    ports: z.array(portRangeSchema).max(64),
    peer: filterPeerSchema,
  })
  .refine(
    ({ protocol, ports }) => ports.length === 0 || protocol === 'tcp' || protocol === 'udp',
    'only tcp and udp have ports',
  )
export type SecurityRule = z.infer<typeof securityRuleSchema>

export const securityGroupSchema = z.object({
  id: securityGroupIdSchema,
  name: nameSchema,
  rules: z.array(securityRuleSchema).max(256),
  createdAt: z.iso.datetime(),
})
export type SecurityGroup = z.infer<typeof securityGroupSchema>

/** A rule as hosts are told it: groups are resolved to addresses. `peers` null: anybody; empty: nobody. */
export const filterRuleSchema = z.object({
  direction: filterDirectionSchema,
  protocol: filterProtocolSchema,
  ports: z.array(portRangeSchema),
  peers: z.array(z.union([ipv4AddressSchema, z.cidrv4()])).nullable(),
})
export type FilterRule = z.infer<typeof filterRuleSchema>

/** What one host has to know: its machines that have groups, and the rules of these groups. Other machines are open. */
export const hostFirewallSchema = z.object({
  groups: z.array(z.object({ id: securityGroupIdSchema, rules: z.array(filterRuleSchema) })),
  machines: z.array(z.object({ vmId: vmIdSchema, groupIds: z.array(securityGroupIdSchema).min(1) })),
})
export type HostFirewall = z.infer<typeof hostFirewallSchema>

export const openFirewall: HostFirewall = { groups: [], machines: [] }

/**
 * How a host filters. The first two can do all. `stateless`: nobody can pass as another machine, but connections aren't followed, so
 * security groups can't be kept. `none`: nothing is filtered.
 */
export const firewallKindSchema = z.enum(['bridge-conntrack', 'bridge-netfilter', 'stateless', 'none'])
export type FirewallKind = z.infer<typeof firewallKindSchema>

export function keepsGroups(kind: FirewallKind): boolean {
  return kind === 'bridge-conntrack' || kind === 'bridge-netfilter'
}

/** A rule in words. */
export function describeRule(
  { direction, protocol, ports, peer }: SecurityRule,
  nameOf: (groupId: SecurityGroupId) => string,
): string {
  const what = ports.length === 0 ? protocol : `${protocol} ${ports.map(describePorts).join(',')}`
  const preposition = direction === 'in' ? 'from' : 'to'
  return `${direction} ${what} ${preposition} ${describePeer(peer, nameOf)}`
}

export function describePorts({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`
}

export function describePeer(peer: FilterPeer, nameOf: (groupId: SecurityGroupId) => string): string {
  switch (peer.kind) {
    case 'any':
      return 'anybody'
    case 'network':
      return peer.cidr
    case 'group':
      return `group ${nameOf(peer.groupId)}`
  }
}
