/** The storages, networks and security groups that are entered with the machines that need them. Pure. */
import type { NetworkSpec } from '../../model/cluster.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import type { SecurityGroup } from '../../model/firewall.ts'
import type { HostId } from '../../model/ids.ts'
import type { VirtualNetwork } from '../../model/network.ts'
import type { RebuildDoubt, RebuildItem } from '../../model/rebuild/rebuild-plan.ts'
import type { Testimony } from '../../model/rebuild/testimony.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { FoundMachine } from './found-manifests.ts'
import type { PlannedHosts } from './plan-hosts.ts'

export type Surroundings = {
  readonly items: readonly RebuildItem[]
  readonly doubts: readonly RebuildDoubt[]
  readonly storages: readonly StorageSpec[]
  readonly networks: readonly VirtualNetwork[]
  readonly securityGroups: readonly SecurityGroup[]
  readonly flatNetwork: NetworkSpec | null
}

type Named = { readonly id: string; readonly name: string }

export function planSurroundings(
  cluster: ClusterState,
  testimony: Testimony,
  found: { readonly machines: readonly FoundMachine[]; readonly hosts: PlannedHosts },
): Surroundings {
  const manifests = found.machines.map(({ manifest }) => manifest)
  const storages = enter<StorageSpec>({
    noun: 'storage',
    present: cluster.storages,
    found: [
      ...testimony.storages.map(({ storage, readBy }) => told(storage, nameOf(found.hosts, readBy))),
      ...testimony.unread.map(({ storage, why }) => ({ ...told(storage, 'a host'), doubts: [`not read: ${why}`] })),
      ...manifests.flatMap((manifest) => manifest.storages.map((storage) => told(storage, ofVm(manifest)))),
    ],
    isTaken: (one, other) => one.name === other.name && one.hostId === other.hostId,
    lacks: ({ hostId }) =>
      hostId === null || found.hosts.known.has(hostId) ? undefined : 'the host that it belongs to is not entered',
  })
  const networks = enter<VirtualNetwork>({
    noun: 'network',
    present: cluster.networks,
    found: manifests.flatMap((manifest) => manifest.networks.map((network) => told(network, ofVm(manifest)))),
    isTaken: (one, other) =>
      one.name === other.name || one.number === other.number || isSameSegment(one.segment, other.segment),
  })
  const groups = enter<SecurityGroup>({
    noun: 'security-group',
    present: cluster.securityGroups,
    found: manifests.flatMap((manifest) => manifest.securityGroups.map((group) => told(group, ofVm(manifest)))),
    isTaken: (one, other) => one.name === other.name,
  })
  const flat = chooseFlatNetwork(cluster, testimony, manifests)
  return {
    items: [...storages.items, ...networks.items, ...groups.items],
    doubts: flat.doubts,
    storages: storages.entries,
    networks: networks.entries,
    securityGroups: groups.entries,
    flatNetwork: flat.network,
  }
}

type Told<Thing> = { readonly thing: Thing; readonly from: string; readonly doubts?: readonly string[] }

type Entering<Thing extends Named> = {
  readonly noun: RebuildItem['noun']
  readonly present: ReadonlyMap<string, Thing>
  /** The first to tell of a thing is believed. */
  readonly found: readonly Told<Thing>[]
  /** They can't both be. */
  isTaken(one: Thing, other: Thing): boolean
  /** What is missing for it. */
  lacks?(thing: Thing): string | undefined
}

function enter<Thing extends Named>({
  noun,
  present,
  found,
  isTaken,
  lacks,
}: Entering<Thing>): {
  readonly items: readonly RebuildItem[]
  readonly entries: readonly Thing[]
} {
  const entries: Thing[] = []
  const items = new Map<string, RebuildItem>()
  for (const { thing, from, doubts } of found) {
    if (items.has(thing.id)) continue
    const item = { noun, id: thing.id, name: thing.name, from, doubts: [...(doubts ?? [])] }
    const inTheWay = [...present.values(), ...entries].find((other) => isTaken(thing, other))
    const lack = lacks?.(thing)
    if (present.has(thing.id)) {
      items.set(thing.id, { ...item, action: 'present', detail: 'is there already, and left as it is' })
    } else if (inTheWay !== undefined) {
      const detail = `${inTheWay.name} (${inTheWay.id}) has its name, number or segment: rename or delete that one first`
      items.set(thing.id, { ...item, action: 'leave-out', detail })
    } else if (lack !== undefined) {
      items.set(thing.id, { ...item, action: 'leave-out', detail: lack })
    } else {
      entries.push(thing)
      items.set(thing.id, { ...item, action: 'enter', detail: 'is entered as it was' })
    }
  }
  return { items: [...items.values()], entries }
}

/** As the hosts were told it last, or as a manifest has it. */
function chooseFlatNetwork(
  { network }: ClusterState,
  { hosts }: Testimony,
  manifests: readonly FoundMachine['manifest'][],
): { readonly network: NetworkSpec | null; readonly doubts: readonly RebuildDoubt[] } {
  const told = [
    ...hosts.map(({ introduction }) => introduction?.configuration?.network ?? null),
    ...manifests.map(({ flatNetwork }) => flatNetwork),
  ].find((one) => one !== null)
  if (network === undefined) return { network: told ?? null, doubts: [] }
  if (told === undefined || JSON.stringify(told) === JSON.stringify(network)) return { network: null, doubts: [] }
  const message = `its subnet is ${network.subnet} here, and was ${told.subnet}`
  const next = 'Compare it with dialtone network show flat, and set it again if need be.'
  return { network: null, doubts: [{ subject: 'the flat network', message, next }] }
}

function isSameSegment(one: VirtualNetwork['segment'], other: VirtualNetwork['segment']): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function told<Thing>(thing: Thing, from: string): Told<Thing> {
  return { thing, from }
}

function ofVm({ vm }: FoundMachine['manifest']): string {
  return `the manifest of ${vm.name}`
}

function nameOf(hosts: PlannedHosts, hostId: HostId): string {
  return hosts.known.get(hostId)?.name ?? hostId
}
