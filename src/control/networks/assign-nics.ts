/** Gives network cards their MACs and addresses, or says why they can't have them. Pure. */
import type { ClusterState } from '../../model/cluster-state.ts'
import type { ErrorCode } from '../../model/dialtone-error.ts'
import { maximumNics } from '../../model/hardware.ts'
import { flatNetworkId, type NetworkId } from '../../model/ids.ts'
import { flatNetworkName, type Network, networksOf, nicsOf, usualMtu, type VmNic } from '../../model/network.ts'
import { addressFromMac } from '../../model/network-address6.ts'
import { addressToNumber, numberToAddress } from '../ipv4.ts'

/** A card as somebody wants it: in this network, by name or id, with this address or any. */
export type NicWish = { readonly network: string; readonly address?: string | undefined }
export type NicRefusal = { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }

type Existing = { readonly name: string; readonly nics: readonly VmNic[] }

/** Cards for a new machine, the first one first. */
export function assignNics(
  cluster: ClusterState,
  [first, ...more]: readonly [NicWish, ...NicWish[]],
): readonly [VmNic, ...VmNic[]] | NicRefusal {
  const firstNic = assignNic(cluster, { name: 'the machine', nics: [] }, first)
  if ('kind' in firstNic) return firstNic
  const nics: [VmNic, ...VmNic[]] = [firstNic]
  for (const wish of more) {
    const nic = assignNic(cluster, { name: 'the machine', nics }, wish)
    if ('kind' in nic) return nic
    nics.push(nic)
  }
  return nics
}

/** One more card for a machine that has these. Its number is the smallest that is free. */
export function assignNic(cluster: ClusterState, machine: Existing, wish: NicWish): VmNic | NicRefusal {
  const network = networksOf(cluster).find(({ id, name }) => name === wish.network || id === wish.network)
  if (network === undefined) {
    return wish.network === flatNetworkName
      ? refuse('wrong-state', 'the network has no addresses yet: set it first, with dialtone network set')
      : refuse('not-found', `there is no network ${wish.network}`)
  }
  if (machine.nics.length >= maximumNics)
    return refuse('invalid-input', `${machine.name} has ${maximumNics} network cards, the most that there can be`)
  if (machine.nics.some(({ networkId }) => networkId === network.id))
    return refuse('in-use', `${machine.name} already has a card in ${network.name}`)
  const address = chooseAddress(cluster, network, wish.address)
  if (typeof address !== 'string') return address
  const numbers = new Set(machine.nics.map((nic) => nic.number))
  const macAddress = macAddressOf(network, address)
  return {
    number: Array.from({ length: maximumNics }, (_, index) => index).find((index) => !numbers.has(index)) ?? 0,
    networkId: network.id,
    macAddress,
    address,
    address6: network.prefix6 === null ? null : addressFromMac(network.prefix6, macAddress),
    mtu: network.mtu === usualMtu ? null : network.mtu,
  }
}

/** Addresses of a network that can't be given to a machine. Hosts have theirs in the flat network only. */
function takenIn(cluster: ClusterState, networkId: NetworkId): ReadonlySet<string> {
  const taken = new Set<string>()
  for (const { spec } of cluster.vms.values())
    for (const nic of nicsOf(spec)) if (nic.networkId === networkId) taken.add(nic.address)
  if (networkId === flatNetworkId) for (const { spec } of cluster.hosts.values()) taken.add(spec.address)
  return taken
}

function chooseAddress(cluster: ClusterState, network: Network, wished: string | undefined): string | NicRefusal {
  const { gateway, addressFrom, addressTo } = network.pool
  const taken = takenIn(cluster, network.id)
  const isTaken = (address: string) => address === gateway || taken.has(address)
  const [from, to] = [addressToNumber(addressFrom), addressToNumber(addressTo)]
  if (wished !== undefined) {
    const value = addressToNumber(wished)
    if (value < from || value > to) {
      const range = `${addressFrom} to ${addressTo}`
      return refuse('invalid-input', `${wished} is not among the assignable addresses of ${network.name}, ${range}`)
    }
    const who = network.id === flatNetworkId ? 'by a VM, a host or the gateway' : 'by a VM or the gateway'
    return isTaken(wished) ? refuse('address-taken', `${wished} is taken in ${network.name}: ${who}`) : wished
  }
  for (let value = from; value <= to; value += 1) {
    const address = numberToAddress(value)
    if (!isTaken(address)) return address
  }
  return refuse('address-taken', `all addresses of ${network.name}, from ${addressFrom} to ${addressTo}, are taken`)
}

/**
 * Derived from the address, which is unique in its network. 52:54 marks QEMU's guests, and in the flat network the address follows. Others
 * have their number there, which is always below 0x4000, and the last three bytes of the address.
 */
function macAddressOf({ id, number }: Network, address: string): string {
  const parts = address.split('.').map(Number)
  const bytes = id === flatNetworkId ? [0x52, 0x54, ...parts] : [0x52, number >> 8, number & 0xff, ...parts.slice(1)]
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

function refuse(code: ErrorCode, message: string): NicRefusal {
  return { kind: 'refused', code, message }
}
