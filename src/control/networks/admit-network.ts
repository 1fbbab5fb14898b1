/** Turns a wish for a network into everything that it is, or says why it can't be. Pure. */
import type { NetworkSpec } from '../../model/cluster.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import type { ErrorCode } from '../../model/dialtone-error.ts'
import type { NetworkId } from '../../model/ids.ts'
import {
  flatNetworkName,
  nicsOf,
  numberOfMetadata,
  type Uplink,
  usualMtu,
  type VirtualNetwork,
  vxlanOverheadBytes,
} from '../../model/network.ts'
import { addressToNumber, numberToAddress } from '../ipv4.ts'

export type NetworkWish = {
  readonly name: string
  readonly kind: 'vxlan' | 'vlan'
  readonly vni?: number | undefined
  readonly vlanId?: number | undefined
  readonly interface?: string | undefined
  readonly subnet: string
  readonly gateway?: string | undefined
  readonly addressFrom?: string | undefined
  readonly addressTo?: string | undefined
  readonly prefix6?: string | undefined
  readonly domain?: string | undefined
  readonly uplink: Uplink
  readonly mtu?: number | undefined
}

export type NetworkAdmission = { readonly kind: 'admitted'; readonly network: VirtualNetwork } | NetworkRefusal
export type NetworkRefusal = { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }

/** Numbers that people choose by hand are mostly small. */
const firstVni = 1000

export function admitNetwork(
  cluster: ClusterState,
  wish: NetworkWish,
  identity: { readonly id: NetworkId; readonly createdAt: string },
): NetworkAdmission {
  const existing = [...cluster.networks.values()]
  if (wish.name === flatNetworkName)
    return refuse(
      'name-taken',
      `${flatNetworkName} is the hosts' own network: set its addresses with dialtone network set`,
    )
  if (existing.some(({ name }) => name === wish.name))
    return refuse('name-taken', `a network named ${wish.name} exists`)
  const segment = chooseSegment(existing, wish)
  if (segment.kind === 'refused') return segment
  const pool = poolOf(wish)
  const wrong = describePoolFault(pool) ?? describeOverlap(cluster, wish, pool)
  if (wrong !== undefined) return refuse('invalid-input', wrong)
  const mtu = wish.mtu ?? (wish.kind === 'vxlan' ? usualMtu - vxlanOverheadBytes : usualMtu)
  return {
    kind: 'admitted',
    network: {
      id: identity.id,
      name: wish.name,
      number: smallestFree(new Set([...existing.map(({ number }) => number), numberOfMetadata]), 1),
      segment,
      pool,
      prefix6: wish.prefix6 ?? null,
      domain: wish.domain ?? `${wish.name}.internal`,
      uplink: wish.uplink,
      mtu,
      createdAt: identity.createdAt,
    },
  }
}

/** Names of the VMs that have a card in it: as long as there are any, it can't be deleted. */
export function usersOf(cluster: ClusterState, networkId: NetworkId): readonly string[] {
  return [...cluster.vms.values()]
    .filter(({ spec }) => nicsOf(spec).some((nic) => nic.networkId === networkId))
    .map(({ spec }) => spec.name)
}

/** What is wrong with the addresses of any network, as a sentence. */
export function describePoolFault({ subnet, gateway, addressFrom, addressTo }: NetworkSpec): string | undefined {
  const { first, last } = rangeOf(subnet)
  for (const address of [gateway, addressFrom, addressTo]) {
    const value = addressToNumber(address)
    if (value <= first || value >= last) return `${address} is not in the subnet ${subnet}`
  }
  return addressToNumber(addressFrom) > addressToNumber(addressTo)
    ? `the first assignable address, ${addressFrom}, is above the last, ${addressTo}`
    : undefined
}

function chooseSegment(
  existing: readonly VirtualNetwork[],
  wish: NetworkWish,
): VirtualNetwork['segment'] | NetworkRefusal {
  if (wish.kind === 'vlan') {
    const { vlanId, interface: on } = wish
    if (vlanId === undefined || on === undefined)
      return refuse('invalid-input', 'a VLAN needs its id and the interface of the hosts that carries it')
    const rival = existing.find(
      ({ segment }) => segment.kind === 'vlan' && segment.vlanId === vlanId && segment.interface === on,
    )
    return rival === undefined
      ? { kind: 'vlan', vlanId, interface: on }
      : refuse('in-use', `VLAN ${vlanId} on ${on} is the network ${rival.name}`)
  }
  const owners = new Map(
    existing.flatMap(({ segment, name }) => (segment.kind === 'vxlan' ? [[segment.vni, name]] : [])),
  )
  const vni = wish.vni ?? smallestFree(new Set(owners.keys()), firstVni)
  const owner = owners.get(vni)
  return owner === undefined ? { kind: 'vxlan', vni } : refuse('in-use', `VNI ${vni} is the network ${owner}`)
}

/** The router has the first address of the subnet, and all others but the last may be assigned. */
function poolOf({ subnet, gateway, addressFrom, addressTo }: NetworkWish): NetworkSpec {
  const { first, last } = rangeOf(subnet)
  return {
    subnet: `${numberToAddress(first)}/${subnet.split('/')[1]}`,
    gateway: gateway ?? numberToAddress(first + 1),
    addressFrom: addressFrom ?? numberToAddress(first + 2),
    addressTo: addressTo ?? numberToAddress(last - 1),
  }
}

/** Networks may overlap each other, but what is routed has one place only, and machines with an uplink must reach the hosts' network. */
function describeOverlap(cluster: ClusterState, wish: NetworkWish, { subnet }: NetworkSpec): string | undefined {
  if (wish.uplink === 'none') return undefined
  const range = rangeOf(subnet)
  const host = [...cluster.hosts.values()].find(({ spec }) => {
    const value = addressToNumber(spec.address)
    return value >= range.first && value <= range.last
  })
  if (host !== undefined) return `${subnet} overlaps the hosts' own network: ${host.spec.name} is ${host.spec.address}`
  const { network } = cluster
  if (network !== undefined && overlaps(network.subnet, subnet))
    return `${subnet} overlaps the flat network, ${network.subnet}`
  if (wish.uplink !== 'routed') return undefined
  const rival = [...cluster.networks.values()].find(
    (other) => other.uplink === 'routed' && overlaps(other.pool.subnet, subnet),
  )
  return rival === undefined ? undefined : `${subnet} overlaps ${rival.name}, ${rival.pool.subnet}, which is routed too`
}

function overlaps(left: string, right: string): boolean {
  const [one, other] = [rangeOf(left), rangeOf(right)]
  return one.first <= other.last && other.first <= one.last
}

function rangeOf(subnet: string): { readonly first: number; readonly last: number } {
  const [base = '', prefixLength = ''] = subnet.split('/')
  const size = 2 ** (32 - Number(prefixLength))
  const first = Math.floor(addressToNumber(base) / size) * size
  return { first, last: first + size - 1 }
}

function smallestFree(taken: ReadonlySet<number>, from: number): number {
  let candidate = from
  while (taken.has(candidate)) candidate += 1
  return candidate
}

function refuse(code: ErrorCode, message: string): NetworkRefusal {
  return { kind: 'refused', code, message }
}
