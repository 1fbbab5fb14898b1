/** Names that the operating system sees of a network of its own, derived from its number: none of them is a tap's, or anybody else's. */

export type SegmentNames = {
  /** Where the machines' taps are plugged in. */
  readonly bridge: string
  /** The port to the other hosts: VXLAN or VLAN. */
  readonly trunk: string
  /** The port of the network's router, whose other end is in the router's namespace. */
  readonly router: string
  /** This host's end of the way between it and the router. */
  readonly uplink: string
}

/** The router's ends, in its own namespace. */
export const routerInterface = 'in0'
export const uplinkInterface = 'up0'

export function segmentNames(number: number): SegmentNames {
  return { bridge: `dtn${number}`, trunk: `dtx${number}`, router: `dtr${number}`, uplink: `dtu${number}` }
}

/** The number of the network that a device belongs to; undefined for a device that isn't ours. */
export function numberOfSegment(device: string): number | undefined {
  const match = /^dt[nxru]([1-9][0-9]{0,4})$/.exec(device)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** The same on every host, so that a machine that moves finds its router where it was. */
export function routerMac(number: number): string {
  const bytes = [0x02, 0xd7, 0xff, 0x00, number >> 8, number & 0xff]
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

/** This host's address on all ways out, and the router's on its own: link-local, so that they are nobody else's. */
export const uplinkHostAddress = '169.254.0.1'
export const uplinkRange = '169.254.0.0/16'
export function uplinkRouterAddress(number: number): string {
  return `169.254.${1 + (number >> 8)}.${number & 0xff}`
}

/** This host's own address from which it asks the machines of a network: each network has another one, and by it a routing table. */
export const askingRange = '169.254.128.0/17'
export function askingAddress(number: number): string {
  return `169.254.${128 + (number >> 8)}.${number & 0xff}`
}

/** Before the host's own rules for everything. */
export const askingPriority = 1700

/** Far above what people and programs number their tables with. */
export function askingTable(number: number): number {
  return 0xd7_00_00 + number
}
