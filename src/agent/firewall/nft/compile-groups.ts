/**
 * Security groups. A machine with groups is sent what one of their rules lets in; where one of them has a rule for `out`, it sends only
 * what such rules let out. What belongs to an existing connection passes both ways.
 *
 * ARP, DHCP and neighbour discovery pass by construction, before any rule is looked at, and so does what the machine's own host sends:
 * no set of rules can cut a machine off from its address, or from the probe that says whether it serves.
 */
import type { FilterRule, HostFirewall } from '../../../model/firewall.ts'
import type { GuardedTap } from '../firewall.ts'
import { bridgeOf, type Chain, establishedMark, type FilterDescription } from './describe-filter.ts'

export function compileGroups({ kind, hostAddress, networks, taps, policy }: FilterDescription): readonly Chain[] {
  const filtered = taps.flatMap((tap) => {
    const groups = groupsOf(tap, policy)
    return groups === undefined ? [] : [{ tap, groups }]
  })
  if (filtered.length === 0) return []
  const leaving = filtered.filter(({ groups }) => groups.some(({ rules }) => rules.some(isOut)))
  const enterLines = verdicts('oifname', 'to', filtered)
  const leaveLines = verdicts('iifname', 'out-of', leaving)
  return [
    passesAlways(kind),
    ...policy.groups.flatMap((group) => [
      { name: `in-${group.id}`, lines: group.rules.filter((rule) => !isOut(rule)).flatMap(linesOf) },
      { name: `out-${group.id}`, lines: group.rules.filter(isOut).flatMap(linesOf) },
    ]),
    ...filtered.map(({ tap, groups }) => ({
      name: `to-${tap.tapName}`,
      lines: [...groups.map(({ id }) => `jump in-${id}`), 'drop'],
    })),
    ...leaving.map(({ tap, groups }) => ({
      name: `out-of-${tap.tapName}`,
      lines: [...groups.map(({ id }) => `jump out-${id}`), 'drop'],
    })),
    // After the bridge has handed the packet to IP's hooks (priority -1), where connections may be followed. What is accepted by a
    // chain of one hook is still looked at by the next one: between two machines of this host both sides have to agree.
    {
      name: 'leave-to-others',
      lines: ['type filter hook forward priority 10; policy accept;', ...answersTo(networks), ...leaveLines],
    },
    { name: 'leave-to-host', lines: ['type filter hook input priority 10; policy accept;', ...leaveLines] },
    {
      name: 'enter-from-others',
      lines: ['type filter hook forward priority 11; policy accept;', ...questionsOf(networks), ...enterLines],
    },
    {
      name: 'enter-from-host',
      lines: ['type filter hook output priority 11; policy accept;', `ip saddr ${hostAddress} accept`, ...enterLines],
    },
  ]
}

/** What this host asks by the router of a network of its own: nobody else is heard by that port under the router's address. */
function questionsOf(networks: FilterDescription['networks']): string[] {
  return networks.length === 0 ? [] : [`iifname "dtr*" ip saddr ${routersOf(networks)} accept`]
}

/** And the answers to it, which begin no connection. */
function answersTo(networks: FilterDescription['networks']): string[] {
  if (networks.length === 0) return []
  return [`oifname "dtr*" ip daddr ${routersOf(networks)} tcp flags & (syn | ack) != syn accept`]
}

function routersOf(networks: FilterDescription['networks']): string {
  return `{ ${[...new Set(networks.map(({ router }) => router))].join(', ')} }`
}

/** Chains of IP's own hooks, where the bridge can't follow connections: they tell it by a mark which packets belong to one. */
export function compileFollowing({ bridge, networks }: FilterDescription): readonly Chain[] {
  const mark = `ct state established,related meta mark set meta mark | ${hex(establishedMark)}`
  const zones = networks.map((network) => `"${bridgeOf(network)}" : ${network.number}`)
  const bridges = [bridge, ...networks.map(bridgeOf)].map((name) => `"${name}"`)
  return [
    {
      name: 'zones',
      lines: [
        'type filter hook prerouting priority -300; policy accept;',
        ...(zones.length === 0 ? [] : [`ct zone set iifname map { ${zones.join(', ')} }`]),
      ],
    },
    {
      name: 'bridged',
      lines: ['type filter hook prerouting priority -150; policy accept;', `iifname { ${bridges.join(', ')} } ${mark}`],
    },
    {
      name: 'from-host',
      lines: ['type filter hook postrouting priority 90; policy accept;', `oifname "${bridge}" ${mark}`],
    },
  ]
}

/** True when some machine here has groups. */
export function hasGroups({ taps, policy }: Pick<FilterDescription, 'taps' | 'policy'>): boolean {
  return taps.some((tap) => groupsOf(tap, policy) !== undefined)
}

/** The groups of a machine; undefined for one that is open. A group that nobody has described lets nothing through. */
export function groupsOf({ vmId }: Pick<GuardedTap, 'vmId'>, policy: HostFirewall): HostFirewall['groups'] | undefined {
  const machine = policy.machines.find((entry) => entry.vmId === vmId)
  return machine && policy.groups.filter(({ id }) => machine.groupIds.includes(id))
}

function verdicts(match: string, prefix: string, filtered: readonly { readonly tap: GuardedTap }[]): string[] {
  if (filtered.length === 0) return []
  const jumps = filtered.map(({ tap: { tapName } }) => `"${tapName}" : goto ${prefix}-${tapName}`)
  return ['jump passes-always', `${match} vmap { ${jumps.join(', ')} }`]
}

function passesAlways(kind: FilterDescription['kind']): Chain {
  return {
    name: 'passes-always',
    lines: [
      kind === 'bridge-conntrack'
        ? 'ct state established,related accept'
        : `meta mark & ${hex(establishedMark)} != 0 accept`,
      'ether type { arp, 0x8035 } accept',
      'udp sport 68 udp dport 67 accept',
      'udp sport 67 udp dport 68 accept',
      'icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept',
      'icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept',
    ],
  }
}

function linesOf({ direction, protocol, ports, peers }: FilterRule): string[] {
  if (peers?.length === 0) return []
  const who = peers === null ? '' : `ip ${direction === 'in' ? 'saddr' : 'daddr'} { ${peers.join(', ')} } `
  return [`${who}${protocolMatch(protocol, ports)}accept`]
}

function protocolMatch(protocol: FilterRule['protocol'], ports: FilterRule['ports']): string {
  if (protocol === 'any') return ''
  if (protocol === 'icmp') return 'meta l4proto { icmp, ipv6-icmp } '
  if (ports.length === 0) return `meta l4proto ${protocol} `
  return `${protocol} dport { ${ports.map(({ from, to }) => (from === to ? from : `${from}-${to}`)).join(', ')} } `
}

function isOut({ direction }: FilterRule): boolean {
  return direction === 'out'
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
