/** The addresses of a laboratory: a /22 of 10.64.0.0/10 that follows from its name, unless something on the machine uses it. Pure. */

/** An inclusive range of IPv4 addresses, as numbers. */
export type AddressRange = { readonly first: number; readonly last: number }

export type LaboratoryAddresses = {
  readonly subnet: string
  readonly prefixLength: number
  /** The machine's own address in the laboratory. */
  readonly gateway: string
  readonly vmAddresses: { readonly from: string; readonly to: string }
}

const prefixLength = 22
const subnetSize = 2 ** (32 - prefixLength)
const pool = rangeOf('10.64.0.0/10')
const subnetCount = (pool.last - pool.first + 1) / subnetSize
const firstHost = 11

/** Hosts have the addresses .11 to .74 of the first /24. */
export const maximumHosts = 64

/** The subnet that a laboratory of this name gets, given what is in use; undefined when nothing is free. */
export function chooseSubnet(laboratory: string, inUse: readonly AddressRange[]): LaboratoryAddresses | undefined {
  const start = hashOf(laboratory) % subnetCount
  for (let step = 0; step < subnetCount; step += 1) {
    const first = pool.first + ((start + step) % subnetCount) * subnetSize
    if (!inUse.some((range) => range.first < first + subnetSize && range.last >= first)) return addressesFrom(first)
  }
  return undefined
}

/** Address of host 1, 2, … in the subnet. */
export function hostAddress(subnet: string, hostNumber: number): string {
  return formatAddress(rangeOf(subnet).first + firstHost - 1 + hostNumber)
}

/** The one before the hosts'. */
export function storageServerAddress(subnet: string): string {
  return hostAddress(subnet, 0)
}

/** A hardware address that follows from an IPv4 address; a bridge that takes it from its ports would change it with them. */
export function hardwareAddressFor(address: string): string {
  const number = rangeOf(address).first
  const octets = [0x02, 0xd7, (number >>> 24) & 255, (number >>> 16) & 255, (number >>> 8) & 255, number & 255]
  return octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':')
}

/** The addresses of `10.0.0.0/8` or of the single `10.1.2.3`; throws on anything else. */
export function rangeOf(prefix: string): AddressRange {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(prefix)
  if (match === null) throw new RangeError(`${prefix} is not an IPv4 address or prefix`)
  const [a = 0, b = 0, c = 0, d = 0, length = 32] = match
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)))
  const size = 2 ** (32 - length)
  const address = ((a * 256 + b) * 256 + c) * 256 + d
  const first = address - (address % size)
  return { first, last: first + size - 1 }
}

function addressesFrom(first: number): LaboratoryAddresses {
  return {
    subnet: `${formatAddress(first)}/${prefixLength}`,
    prefixLength,
    gateway: formatAddress(first + 1),
    vmAddresses: { from: formatAddress(first + 257), to: formatAddress(first + subnetSize - 2) },
  }
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

/** FNV-1a: the same name gives the same subnet on every machine. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
