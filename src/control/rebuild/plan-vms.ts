/**
 * Which VMs are entered, as what, and on whose word it depends whether they run: the host of the newest claim beside their disks, the host of
 * their manifest unless a claim is newer, every host that says it holds them, and those whose own disks they have. Pure.
 */
import type { ClusterState } from '../../model/cluster-state.ts'
import { boundHostOf } from '../../model/cluster-state.ts'
import type { HostId, StorageId } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import type { RebuildItem, VmEntry } from '../../model/rebuild/rebuild-plan.ts'
import type { Testimony, VolumeClaim } from '../../model/rebuild/testimony.ts'
import type { VmManifest } from '../../model/rebuild/vm-manifest.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { MachineReport, VmSpec } from '../../model/vm.ts'
import { createClaims } from './claims-of-vms.ts'
import { doubtsOf } from './doubts-of-vm.ts'
import { type FoundMachine, isAt, placeName } from './found-manifests.ts'
import type { PlannedHosts } from './plan-hosts.ts'

export type VmSurroundings = {
  readonly hosts: PlannedHosts
  /** Those that are, or will be, in the state. */
  readonly storages: ReadonlyMap<StorageId, StorageSpec>
  readonly networkIds: ReadonlySet<string>
  readonly groupIds: ReadonlySet<string>
}

export type PlannedVms = { readonly items: readonly RebuildItem[]; readonly entries: readonly VmEntry[] }

/** Of two that can't both be, the one whose manifest is younger. */
export function planVms(
  cluster: ClusterState,
  testimony: Testimony,
  found: { readonly machines: Iterable<FoundMachine>; readonly around: VmSurroundings },
): PlannedVms {
  const claims = createClaims(cluster)
  const entries: VmEntry[] = []
  const items: RebuildItem[] = []
  const youngestFirst = [...found.machines].toSorted((left, right) =>
    right.manifest.writtenAt.localeCompare(left.manifest.writtenAt),
  )
  for (const machine of youngestFirst) {
    const { vm } = machine.manifest
    const item = { noun: 'vm' as const, id: vm.id, name: vm.name, from: placeName(machine.from) }
    if (cluster.vms.has(vm.id)) {
      items.push({ ...item, action: 'present', detail: 'is there already, and left as it is', doubts: [] })
      continue
    }
    const owners = ownersOf(machine, testimony, found.around)
    const hindrance = hindranceOf(machine, owners, found.around) ?? claims.takenBy(vm)
    if (hindrance !== undefined) {
      items.push({ ...item, action: 'leave-out', detail: hindrance, doubts: [] })
      continue
    }
    claims.take(vm)
    const entry = entryOf(cluster, machine, { owners, around: found.around })
    entries.push(entry)
    const doubts = [...owners.doubts, ...doubtsOf(cluster, machine, { testimony, entry })]
    items.push({ ...item, action: 'enter', detail: describe(owners, found.around), doubts })
  }
  return { items: byName(items), entries }
}

/** Who had it, and who may have it. */
type Owners = {
  /** Newest first: what hosts say that they hold of it. */
  readonly lives: readonly { readonly hostId: HostId; readonly report: MachineReport }[]
  readonly awaits: readonly HostId[]
  readonly ownedEpoch: number
  readonly lastHostId: HostId | undefined
  /** The host of its newest claim, when nobody knows who that is. */
  readonly unknownHost: string | undefined
  readonly doubts: readonly string[]
}

function ownersOf(machine: FoundMachine, testimony: Testimony, { hosts, storages }: VmSurroundings): Owners {
  const { vm, placement } = machine.manifest
  const lives = testimony.hosts
    .flatMap(({ host, reports }) => (reports ?? []).map((report) => ({ hostId: host.id, report })))
    .filter(({ report }) => report.vmId === vm.id)
    .toSorted((left, right) => right.report.epoch - left.report.epoch)
  const claim = newestClaim(machine)
  const claimedEpoch = claim?.life.epoch ?? 0
  const claimant = claim === undefined ? undefined : hosts.idOf(claim.hostName)
  // A newer claim was made only after the manifest's host had let go.
  const placed = placement !== null && placement.epoch >= claimedEpoch ? placement.host.id : undefined
  const locals = vm.disks.flatMap(({ storageId }) => storages.get(storageId)?.hostId ?? [])
  const named = [placed, claimant, ...lives.map(({ hostId }) => hostId), ...locals]
  const awaits = [...new Set(named.filter((hostId) => hostId !== undefined))]
  const lastHostId = lives.find(({ report }) => report.isArriving !== true)?.hostId ?? claimant ?? placed
  const ownedEpoch = Math.max(claimedEpoch, placement?.epoch ?? 0)
  return {
    lives,
    awaits: ownedEpoch === 0 && lives.length === 0 ? [] : awaits,
    ownedEpoch,
    lastHostId,
    unknownHost: claim !== undefined && claimant === undefined ? claim.hostName : undefined,
    doubts: doubtsOfLives(lives, machine.manifest, hosts),
  }
}

function newestClaim({ volumes, manifest }: FoundMachine): VolumeClaim | undefined {
  return volumes
    .flatMap(({ contents }) => contents.claim ?? [])
    .filter(({ life }) => life.vmId === manifest.vm.id)
    .toSorted((left, right) => right.life.epoch - left.life.epoch || right.life.incarnation - left.life.incarnation)[0]
}

function doubtsOfLives(lives: Owners['lives'], { version }: VmManifest, hosts: PlannedHosts): readonly string[] {
  const [newest, ...others] = lives
  if (newest === undefined) return []
  const nameOf = (hostId: HostId) => hosts.known.get(hostId)?.name ?? hostId
  const { epoch } = newest.report
  return [
    ...(epoch > version.epoch
      ? [
          `${nameOf(newest.hostId)} holds it under epoch ${epoch}, and the manifest knows ${version.epoch}: it may be older`,
        ]
      : []),
    ...others.map(({ hostId, report }) => `${nameOf(hostId)} holds another life of it, under epoch ${report.epoch}`),
  ]
}

/** Why it can't be entered, and what to do about that. */
function hindranceOf(machine: FoundMachine, owners: Owners, around: VmSurroundings): string | undefined {
  const { vm } = machine.manifest
  const [root] = vm.disks
  const isRead = root !== undefined && machine.volumes.some((one) => isAt(one, root.volumeId, root.storageId))
  const leftOut = owners.awaits.filter((hostId) => !around.hosts.known.has(hostId))
  const storage = vm.disks.find(({ storageId }) => !around.storages.has(storageId))
  const network = nicsOf(vm).find(({ networkId }) => !around.networkIds.has(networkId))
  const group = vm.securityGroupIds.find((groupId) => !around.groupIds.has(groupId))
  if (machine.isContradicted)
    return `two manifests of it have the same version and differ: look at ${[machine.from, ...machine.volumes].map(placeName).join(', ')}, and remove the wrong one`
  if (owners.unknownHost !== undefined)
    return `by its claim ${owners.unknownHost} had it last, and nobody knows that host: bring it back, then repeat`
  if (leftOut.length > 0) return `a host that may run it is not entered: ${leftOut.join(', ')}`
  if (storage !== undefined) return `its disk ${storage.volumeId} is on ${storage.storageId}, which is not entered`
  if (!isRead) return `its root disk ${root?.volumeId ?? ''} was not found where its manifest has it`
  if (network !== undefined) return `its network ${network.networkId} is not entered`
  if (group !== undefined) return `its security group ${group} is not entered`
  return undefined
}

function entryOf(
  cluster: ClusterState,
  { manifest, volumes }: FoundMachine,
  { owners, around }: { readonly owners: Owners; readonly around: VmSurroundings },
): VmEntry {
  const { vm, version } = manifest
  const { awaits, ownedEpoch, lastHostId, lives } = owners
  const epochs = lives.map(({ report }) => report.epoch)
  const template = [...cluster.templates.values()].find((one) => one.version === vm.templateVersion)
  const snapshots = snapshotsIn(volumes, vm)
  const isKnown = (id: Snapshot['id']) => cluster.snapshots.has(id) || snapshots.some((snapshot) => snapshot.id === id)
  const { membership, ...alone } = vm
  const isMember = membership !== undefined && cluster.services.has(membership.serviceId)
  const spec: VmSpec = {
    ...(isMember ? vm : alone),
    templateId: template?.id ?? vm.templateId,
    desired: 'stopped',
    stopMode: 'shutdown',
    lifecycle: 'live',
    boundToHostId: boundHostOf(vm.disks, around.storages),
    basedOnSnapshotId: vm.basedOnSnapshotId !== null && isKnown(vm.basedOnSnapshotId) ? vm.basedOnSnapshotId : null,
    rebuilt: { upToEpoch: Math.max(version.epoch, ownedEpoch, ...epochs), ownedEpoch, awaits: [...awaits] },
  }
  const epoch = lives.find(({ hostId }) => hostId === lastHostId)?.report.epoch ?? ownedEpoch
  return {
    spec,
    placement: awaits.length === 0 || lastHostId === undefined ? null : { hostId: lastHostId, epoch },
    volumes: manifest.volumes.map((volume) => ({ ...volume, move: null })),
    snapshots: snapshots.filter(({ id }) => !cluster.snapshots.has(id)),
    snapshotSchedule: manifest.snapshotSchedule,
    version,
  }
}

/** Each once; those whose disks are its own. */
export function snapshotsIn(volumes: FoundMachine['volumes'], vm: Pick<VmSpec, 'id'>): readonly Snapshot[] {
  const snapshots = volumes.flatMap(({ contents }) => contents.snapshots).filter(({ vmId }) => vmId === vm.id)
  return [...new Map(snapshots.map((snapshot) => [snapshot.id, snapshot])).values()]
}

function describe({ lives, awaits }: Owners, { hosts }: VmSurroundings): string {
  const nameOf = (hostId: HostId) => hosts.known.get(hostId)?.name ?? hostId
  const own = lives.find(({ report }) => report.isArriving !== true)
  const silent = awaits.filter((hostId) => !hosts.hasAnswered(hostId)).map(nameOf)
  if (own?.report.phase === 'running') return `runs on ${nameOf(own.hostId)}, and is left to run there`
  if (silent.length > 0)
    return `is held: ${silent.join(' and ')} may run it and did not answer; bring it back, or dialtone host confirm-dead ${silent[0] ?? ''}`
  if (own !== undefined) return `is ${own.report.phase} on ${nameOf(own.hostId)}, and stays so`
  return 'runs nowhere, and is not started until you start it'
}

function byName(items: readonly RebuildItem[]): readonly RebuildItem[] {
  return items.toSorted((left, right) => left.name.localeCompare(right.name))
}
