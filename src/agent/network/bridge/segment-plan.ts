/** What has to be done so that a network's devices on this host are as planned: commands for `ip` and `bridge`. Pure. */
import { z } from 'zod'
import type { HostNetwork } from '../../../model/agent-protocol/host-network.ts'
import { numberOfTap } from '../../machines/machine-names.ts'
import { numberOfSegment, segmentNames } from './segment-names.ts'

const vxlanPort = 4789
const everybodyElse = '00:00:00:00:00:00'

/** A link as `ip -json -details link show` tells it, as far as it is looked at. */
export const linksSchema = z.array(
  z.object({
    ifname: z.string().default(''),
    mtu: z.number().default(0),
    master: z.string().optional(),
    flags: z.array(z.string()).default([]),
    linkinfo: z
      .object({
        info_kind: z.string().optional(),
        info_data: z.object({ id: z.number().optional(), local: z.string().optional() }).optional(),
        info_slave_data: z.object({ isolated: z.boolean().optional() }).optional(),
      })
      .optional(),
  }),
)
export type Links = z.infer<typeof linksSchema>

/** An entry as `bridge -json fdb show` tells it. */
export const forwardingSchema = z.array(
  z.object({ mac: z.string(), dst: z.string().optional(), state: z.string().optional() }),
)
export type Forwarding = z.infer<typeof forwardingSchema>

/**
 * Bridge and trunk. The trunk is *isolated*, as the router's port is: machines hear both, but those two don't hear each other, so that a
 * host's router answers the machines of its own host only, and its address can be the same on all.
 */
export function linkCommands({ number, mtu, segment, localAddress }: HostNetwork, links: Links): string[] {
  const { bridge, trunk } = segmentNames(number)
  const find = (name: string) => links.find(({ ifname }) => ifname === name)
  const commands: string[] = []
  if (find(bridge) === undefined)
    commands.push(`link add dev ${bridge} mtu ${mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`)
  if (find(bridge)?.flags.includes('UP') !== true || find(bridge)?.mtu !== mtu)
    commands.push(`link set dev ${bridge} mtu ${mtu} up`)
  const present = find(trunk)
  const { info_kind: kind, info_data: told } = present?.linkinfo ?? {}
  const wanted = segment.kind === 'vxlan' ? { id: segment.vni, local: localAddress } : { id: segment.vlanId }
  const isRight = kind === segment.kind && told?.id === wanted.id && told.local === wanted.local
  if (present !== undefined && !isRight) commands.push(`link del dev ${trunk}`)
  if (!isRight)
    commands.push(
      segment.kind === 'vxlan'
        ? `link add dev ${trunk} mtu ${mtu} type vxlan id ${segment.vni} local ${localAddress} dstport ${vxlanPort} nolearning`
        : `link add link ${segment.interface} name ${trunk} mtu ${mtu} type vlan id ${segment.vlanId}`,
    )
  return [...commands, ...portCommands(trunk, { bridge, mtu, port: isRight ? present : undefined })]
}

/** Plugs a device into the bridge, isolated and up. */
export function portCommands(
  name: string,
  { bridge, mtu, port }: { readonly bridge: string; readonly mtu: number; readonly port: Links[number] | undefined },
): string[] {
  const isPlugged = port?.master === bridge && port.mtu === mtu && port.flags.includes('UP')
  const isIsolated = isPlugged && port.linkinfo?.info_slave_data?.isolated === true
  return [
    ...(isPlugged ? [] : [`link set dev ${name} mtu ${mtu} master ${bridge} up`]),
    ...(isIsolated ? [] : [`link set dev ${name} type bridge_slave isolated on`]),
  ]
}

/** What turns the trunk's forwarding table into the planned one; lines for `bridge -batch`. A VLAN needs none. */
export function forwardingCommands(
  { number, segment, peers, forwarding }: HostNetwork,
  present: Forwarding,
): readonly string[] {
  if (segment.kind !== 'vxlan') return []
  const { trunk } = segmentNames(number)
  const wanted = new Set([
    ...peers.map((peer) => `${everybodyElse} ${peer}`),
    ...forwarding.map(({ macAddress, hostAddress }) => `${macAddress} ${hostAddress}`),
  ])
  const has = new Set(present.flatMap(({ mac, dst }) => (dst === undefined ? [] : [`${mac} ${dst}`])))
  const parts = (entry: string) => entry.split(' ')
  const gone = [...has].filter((entry) => !wanted.has(entry)).map(parts)
  const come = [...wanted].filter((entry) => !has.has(entry)).map(parts)
  return [
    ...gone.map(([mac, dst]) => `fdb del ${mac} dev ${trunk} dst ${dst}`),
    ...come.map(([mac, dst]) =>
      mac === everybodyElse
        ? `fdb append ${mac} dev ${trunk} dst ${dst}`
        : `fdb append ${mac} dev ${trunk} dst ${dst} self static`,
    ),
  ]
}

/** Numbers of networks that have devices here and aren't wanted any more, unless a machine's tap is still plugged in. */
export function unwantedNumbers(links: Links, wanted: ReadonlySet<number>): readonly number[] {
  const present = new Set(links.map(({ ifname }) => numberOfSegment(ifname)).filter((number) => number !== undefined))
  const bridges = new Set(
    links.flatMap(({ ifname, master }) => (numberOfTap(ifname) === undefined || master === undefined ? [] : [master])),
  )
  return [...present].filter((number) => !wanted.has(number) && !bridges.has(segmentNames(number).bridge))
}
