/**
 * Anti-spoofing: a frame from a tap passes when it is what its machine may send under its own addresses. What isn't named is dropped:
 * tagged frames, other protocols, and everything from a tap of ours that nobody has described.
 */
import type { GuardedTap } from '../firewall.ts'
import { type Chain, establishedMark } from './describe-filter.ts'

/** RARP: what announces a machine's MAC to the switches after it moved. It carries no address. */
const announcement = '0x8035'
const firstDigits = ['1', '2', '3', '4', '5', '6', '7', '8', '9']

export function compileGuard(taps: readonly GuardedTap[]): readonly Chain[] {
  const jumps = taps.map(({ tapName }) => `"${tapName}" : jump from-${tapName}`)
  return [
    ...taps.map(guardOf),
    {
      name: 'guard',
      lines: [
        'type filter hook prerouting priority -300; policy accept;',
        // Nobody but this host says of a packet that it belongs to a connection.
        `meta mark & ${hex(establishedMark)} != 0 meta mark set meta mark & ${hex(0xffffffff - establishedMark)}`,
        ...(jumps.length === 0 ? [] : [`iifname vmap { ${jumps.join(', ')} }`]),
        ...firstDigits.map((digit) => `iifname "dt${digit}*" drop`),
      ],
    },
  ]
}

function guardOf({ tapName, macAddress, address, address6 }: GuardedTap): Chain {
  const own6 = [linkLocalAddress(macAddress), ...(address6 === null ? [] : [fullIpv6(address6)])]
  return {
    name: `from-${tapName}`,
    lines: [
      'ether type { 8021q, 8021ad } drop',
      `ether saddr != ${macAddress} drop`,
      // 0.0.0.0: it asks whether its address is free.
      `arp saddr ether ${macAddress} arp saddr ip { 0.0.0.0, ${address} } accept`,
      `ether type ${announcement} accept`,
      `ip saddr { 0.0.0.0, ${address} } udp sport 68 udp dport 67 accept`,
      'udp sport { 67, 547 } drop',
      `ip saddr ${address} accept`,
      // A router advertisement in fragments would not be known as one.
      'exthdr frag exists drop',
      'icmpv6 type { nd-router-advert, nd-redirect } drop',
      'ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld2-listener-report } accept',
      `icmpv6 type nd-neighbor-advert @th,64,128 != { ${own6.map(hexOfIpv6).join(', ')} } drop`,
      `ip6 saddr { ${own6.join(', ')} } accept`,
      'drop',
    ],
  }
}

/** The address that a machine gives itself from its MAC (RFC 4291, appendix A), written in full. */
export function linkLocalAddress(macAddress: string): string {
  const [first = 0, second = 0, third = 0, ...rest] = macAddress.split(':').map((part) => Number.parseInt(part, 16))
  const bytes = [first ^ 0x02, second, third, 0xff, 0xfe, ...rest]
  const groups = [0, 2, 4, 6].map((at) => ((bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)).toString(16).padStart(4, '0'))
  return `fe80:0000:0000:0000:${groups.join(':')}`
}

/** All eight groups with all their digits. */
function fullIpv6(address: string): string {
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => text.split(':').filter((group) => group !== '')
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join(':')
}

function hexOfIpv6(address: string): string {
  return `0x${address.replaceAll(':', '')}`
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
