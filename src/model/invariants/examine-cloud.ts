/**
 * The invariants of a live cloud, as pure checks over what is stored and what hosts really have. Shared by `dialtone doctor` and the
 * simulator: each has a name, and a finding says what to do.
 */
import type { Inventory } from '../agent-protocol/agent-contract.ts'
import type { Finding } from '../api/views.ts'
import type { ClusterState } from '../cluster-state.ts'
import { keepsGroups } from '../firewall.ts'
import { flatNetworkId, type HostId, type StorageId, type VmId, type VolumeId } from '../ids.ts'
import type { ConditionInterval } from '../ledger/outage.ts'
import { ownersOf } from '../migration/owners-of.ts'
import { nicsOf, type VmNic } from '../network.ts'
import type { VmSpec } from '../vm.ts'

export type CloudFacts = {
  readonly cluster: ClusterState
  /** What each host that answered really has. */
  readonly inventories: ReadonlyMap<HostId, Inventory>
  /** What the ledger comes down to, service by service. */
  readonly courses: readonly ServiceCourse[]
}

/** The conditions of a service from its first entry until now. Times are milliseconds since 1970. */
export type ServiceCourse = {
  readonly name: string
  readonly fromMs: number
  readonly untilMs: number
  readonly intervals: readonly ConditionInterval[]
}

type Checker = (facts: CloudFacts) => readonly Finding[]

/** Every invariant by its name. */
export const invariants: Readonly<Record<string, Checker>> = {
  'one-writer-per-volume': oneWriterPerVolume,
  'placement-matches-reality': placementMatchesReality,
  'nothing-unordered-runs': nothingUnorderedRuns,
  'no-orphan-taps': noOrphanTaps,
  'spares-are-wanted': sparesAreWanted,
  'images-are-wanted': imagesAreWanted,
  'no-orphan-volumes': noOrphanVolumes,
  'no-missing-volumes': noMissingVolumes,
  'volumes-have-a-vm': volumesHaveAVm,
  'claims-are-unique': claimsAreUnique,
  'capacity-never-exceeded': capacityNeverExceeded,
  'tasks-end': tasksEnd,
  'ledger-adds-up': ledgerAddsUp,
  'machines-are-guarded': machinesAreGuarded,
}

export function examineCloud(facts: CloudFacts): readonly Finding[] {
  return Object.values(invariants).flatMap((check) => check(facts))
}

function oneWriterPerVolume({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const holders = new Map<string, string[]>()
  for (const [hostId, inventory] of inventories) {
    for (const { name } of inventory.populatedMachineCgroups)
      holders.set(name, [...(holders.get(name) ?? []), hostName(cluster, hostId)])
  }
  return (
    [...holders]
      // Of a machine that moves, one process stands still.
      .filter(([vmId, hosts]) => hosts.length > (isMoving(cluster, vmId) ? 2 : 1))
      .map(([vmId, hosts]) => ({
        invariant: 'one-writer-per-volume',
        severity: 'danger',
        subject: vmName(cluster, vmId),
        message: `processes of ${vmName(cluster, vmId)} run on ${hosts.join(' and ')}`,
        next: 'Kill the one that is not the placed host’s at once, and check the disk.',
      }))
  )
}

function placementMatchesReality({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const { spec, placement, status } of cluster.vms.values()) {
    const inventory = placement === undefined ? undefined : inventories.get(placement.hostId)
    if (placement === undefined || inventory === undefined || status?.state !== 'running') continue
    if (inventory.populatedMachineCgroups.some(({ name }) => name === spec.id)) continue
    findings.push({
      invariant: 'placement-matches-reality',
      severity: 'defect',
      subject: spec.name,
      message: `${spec.name} is said to run on ${hostName(cluster, placement.hostId)}, where no process of it is`,
      next: 'Wait a moment and look again; if it stays so, stop and start it.',
    })
  }
  return findings
}

function nothingUnorderedRuns({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const [hostId, inventory] of inventories) {
    for (const { name, pids } of inventory.populatedMachineCgroups) {
      const vm = [...cluster.vms.values()].find(({ spec }) => spec.id === name)
      if (vm !== undefined && ownersOf(vm).includes(hostId)) continue
      findings.push({
        invariant: 'nothing-unordered-runs',
        severity: 'danger',
        subject: vmName(cluster, name),
        message: `on ${hostName(cluster, hostId)} runs a machine that nobody ordered there: ${vmName(cluster, name)} (processes ${pids.join(', ')})`,
        next: `Look at it on ${hostName(cluster, hostId)}; it should be killed.`,
      })
    }
  }
  return findings
}

function noOrphanTaps({ cluster, inventories }: CloudFacts): readonly Finding[] {
  return [...inventories].flatMap(([hostId, inventory]) =>
    inventory.taps
      .filter(({ vmId }) => vmId === null || !isOfMachine(cluster, { vmId, hostId, inventory }))
      .map(({ tapName }) => ({
        invariant: 'no-orphan-taps',
        severity: 'untidy' as const,
        subject: tapName,
        message: `the tap ${tapName} on ${hostName(cluster, hostId)} belongs to no machine there`,
        next: `Remove it on that host: ip link del ${tapName}`,
      })),
  )
}

/** A machine's own, or that of the process which waits to take it over. */
function isOfMachine(
  cluster: ClusterState,
  tap: { readonly vmId: VmId; readonly hostId: HostId; readonly inventory: Inventory },
): boolean {
  const { vmId, hostId, inventory } = tap
  const isThere = [...inventory.machines, ...inventory.spares].some((machine) => machine.vmId === vmId)
  return isThere || cluster.vms.get(vmId)?.standby?.hostId === hostId
}

function sparesAreWanted({ cluster, inventories }: CloudFacts): readonly Finding[] {
  return [...inventories].flatMap(([hostId, { spares }]) =>
    spares
      .filter(({ vmId }) => {
        const { placement, standby, status } = cluster.vms.get(vmId) ?? {}
        const isHome = placement?.hostId === hostId && status?.state !== 'stopped'
        return !isHome && standby?.hostId !== hostId
      })
      .map(({ vmId, pids }) => ({
        invariant: 'spares-are-wanted',
        severity: 'untidy' as const,
        subject: vmName(cluster, vmId),
        message: `on ${hostName(cluster, hostId)} a process waits to take over ${vmName(cluster, vmId)}, which neither runs nor is to be resumed there (processes ${pids.join(', ')})`,
        next: `Restart the agent of ${hostName(cluster, hostId)}: machines run on, and what waits for nothing ends.`,
      })),
  )
}

/** Copies of a VM that exists are the business of the host's cache, which is bounded; what nobody can ever use again is not. */
function imagesAreWanted({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const origins = originsOf(cluster)
  return [...inventories].flatMap(([hostId, { images }]) =>
    images
      .filter(({ vmId, imageId }) => !cluster.vms.has(vmId) && !origins.has(imageId))
      .map(({ imageId, usedMiB }) => ({
        invariant: 'images-are-wanted',
        severity: 'untidy' as const,
        subject: imageId,
        message: `${hostName(cluster, hostId)} keeps the memory image ${imageId} (${usedMiB} MiB) of a VM that is no more`,
        next: 'Nothing has to be done: it goes when its room is needed.',
      })),
  )
}

/** Images that machines have begun with, or that templates offer. */
function originsOf({ templates, vms, volumes }: ClusterState): ReadonlySet<string> {
  const origins = new Set<string>()
  for (const { warm } of templates.values()) if (warm !== null) origins.add(warm.imageId)
  for (const { spec } of vms.values()) if (spec.clonedFrom !== null) origins.add(spec.clonedFrom.imageId)
  for (const { baseVersion } of volumes.values()) if (baseVersion !== null) origins.add(baseVersion)
  return origins
}

/** Volumes of a VM that is just being made or deleted are the task's business, and so are the copies of one that moves. */
function noOrphanVolumes({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const found = new Map<string, { readonly volumeId: VolumeId; readonly storageId: StorageId; readonly host: string }>()
  for (const [hostId, { volumes }] of inventories)
    for (const place of volumes) found.set(placeOf(place), { ...place, host: hostName(cluster, hostId) })
  const known = new Set<string>([...cluster.discards.values()].map(placeOf))
  for (const { id: volumeId, storageId, move } of cluster.volumes.values()) {
    known.add(placeOf({ volumeId, storageId }))
    if (move !== null) known.add(placeOf({ volumeId, storageId: move.toStorageId }))
  }
  for (const { migration } of cluster.vms.values())
    for (const { volumeId, fromStorageId, toStorageId } of migration?.disks ?? [])
      for (const storageId of [fromStorageId, toStorageId]) known.add(placeOf({ volumeId, storageId }))
  return [...found]
    .filter(([place]) => !known.has(place))
    .map(([, { volumeId, storageId, host }]) => ({
      invariant: 'no-orphan-volumes',
      severity: 'untidy',
      subject: volumeId,
      message: cluster.volumes.has(volumeId)
        ? `the volume ${volumeId} is on ${cluster.storages.get(storageId)?.name ?? storageId}, seen from ${host}, too, where it doesn't belong`
        : `the volume ${volumeId}, seen from ${host}, belongs to no VM`,
      next: 'If nobody misses it, delete its folder on the storage.',
    }))
}

function placeOf({ volumeId, storageId }: { readonly volumeId: VolumeId; readonly storageId: StorageId }): string {
  return `${storageId} ${volumeId}`
}

function noMissingVolumes({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const volume of cluster.volumes.values()) {
    const vm = cluster.vms.get(volume.vmId)
    if (vm?.spec.lifecycle !== 'live') continue
    const views = [...inventories.values()].filter((inventory) =>
      inventory.storages.some(({ storageId, error }) => storageId === volume.storageId && error === null),
    )
    if (
      views.length === 0 ||
      views.some(({ volumes }) =>
        volumes.some((place) => placeOf(place) === placeOf({ volumeId: volume.id, storageId: volume.storageId })),
      )
    )
      continue
    findings.push({
      invariant: 'no-missing-volumes',
      severity: 'danger',
      subject: vm.spec.name,
      message: `the volume ${volume.id} of ${vm.spec.name} is not on its storage`,
      next: 'Is the storage mounted? Restore the volume from a copy, or delete the VM.',
    })
  }
  return findings
}

/** What the store keeps of a VM that is gone is seen by nothing else, and its file is gone as well. */
function volumesHaveAVm({ cluster }: CloudFacts): readonly Finding[] {
  return [...cluster.volumes.values()]
    .filter(({ vmId }) => !cluster.vms.has(vmId))
    .map(({ id, vmId }) => ({
      invariant: 'volumes-have-a-vm',
      severity: 'untidy',
      subject: id,
      message: `the volume ${id} is stored as one of ${vmId}, which is no more`,
      next: 'That is a defect of Dialtone: report it. Nothing else depends on that volume.',
    }))
}

function claimsAreUnique({ cluster }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  const claims: Readonly<Record<string, (spec: VmSpec) => readonly (string | number)[]>> = {
    name: ({ name }) => [name],
    address: (spec) => nicsOf(spec).map((nic) => `${nic.address}${inNetwork(cluster, nic)}`),
    macAddress: (spec) => nicsOf(spec).map(({ macAddress }) => macAddress),
    number: ({ number }) => [number],
  }
  for (const [field, claimedBy] of Object.entries(claims)) {
    const owners = new Map<string | number, string[]>()
    for (const { spec } of cluster.vms.values())
      for (const claim of claimedBy(spec)) owners.set(claim, [...(owners.get(claim) ?? []), spec.id])
    for (const [value, ids] of owners) {
      if (ids.length < 2) continue
      const message = `${ids.join(' and ')} have the same ${field}, ${value}`
      findings.push({
        invariant: 'claims-are-unique',
        severity: 'danger',
        subject: String(value),
        message,
        next: 'Delete one of them; please report this defect.',
      })
    }
  }
  return findings
}

/** Networks may have the same addresses; only the flat one goes without saying. */
function inNetwork(cluster: ClusterState, { networkId }: VmNic): string {
  return networkId === flatNetworkId ? '' : ` in ${cluster.networks.get(networkId)?.name ?? networkId}`
}

function capacityNeverExceeded({ cluster }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const { spec, status } of cluster.hosts.values()) {
    // One that has stopped there, and waits until there is room for it again, was promised nothing yet.
    const placed = [...cluster.vms.values()].filter(
      (vm) => vm.placement?.hostId === spec.id && vm.spec.desired !== 'stopped' && vm.status?.state !== 'stopped',
    )
    const wantedMiB = placed.reduce((sum, vm) => sum + vm.spec.memoryMiB, 0)
    if (status.memoryMiB === 0 || wantedMiB <= status.memoryMiB) continue
    const message = `machines on ${spec.name} are promised ${wantedMiB} MiB, it has ${status.memoryMiB}`
    findings.push({
      invariant: 'capacity-never-exceeded',
      severity: 'defect',
      subject: spec.name,
      message,
      next: 'Stop or move a machine of this host.',
    })
  }
  return findings
}

/** A VM that is being made or deleted has a task that works on it. */
function tasksEnd({ cluster }: CloudFacts): readonly Finding[] {
  const worked = new Set<VmId>()
  for (const task of cluster.tasks.values()) if (task.endedAt === null && task.vmId !== null) worked.add(task.vmId)
  return [...cluster.vms.values()]
    .filter(({ spec }) => spec.lifecycle !== 'live' && !worked.has(spec.id))
    .map(({ spec }) => ({
      invariant: 'tasks-end',
      severity: 'defect',
      subject: spec.name,
      message: `${spec.name} is ${spec.lifecycle}, and no task works on it`,
      next: `Delete it: dialtone vm delete ${spec.name} --force`,
    }))
}

/** Every moment of a service has exactly one condition: else availability would be computed from more or less time than has passed. */
function ledgerAddsUp({ courses }: CloudFacts): readonly Finding[] {
  return courses.flatMap(({ name, fromMs, untilMs, intervals }) => {
    const sumMs = intervals.reduce((sum, interval) => sum + interval.toMs - interval.fromMs, 0)
    const torn = intervals.find((interval, index) => interval.fromMs !== (intervals[index - 1]?.toMs ?? fromMs))
    if (sumMs === untilMs - fromMs && torn === undefined) return []
    const message = `the conditions of ${name} add up to ${sumMs} ms of ${untilMs - fromMs} ms${torn === undefined ? '' : `, and are torn at ${new Date(torn.fromMs).toISOString()}`}`
    const next = `Don't trust its availability; keep dialtone outage list ${name} and report this defect.`
    return [{ invariant: 'ledger-adds-up', severity: 'defect' as const, subject: name, message, next }]
  })
}

function isMoving(cluster: ClusterState, vmId: string): boolean {
  return [...cluster.vms.values()].some(({ spec, migration }) => spec.id === vmId && migration !== undefined)
}

/** Without a firewall a machine can pass as another one; with half of one it can't be closed. */
function machinesAreGuarded({ cluster }: CloudFacts): readonly Finding[] {
  return [...cluster.hosts.values()].flatMap(({ spec, status }) => {
    if (status.state !== 'online') return []
    const open = [...cluster.vms.values()].filter(
      (vm) => vm.placement?.hostId === spec.id && vm.spec.securityGroupIds.length > 0,
    )
    const isUnkept = open.length > 0 && !keepsGroups(status.firewall)
    if (status.firewall !== 'none' && !isUnkept) return []
    const lack = isUnkept
      ? `the security groups of ${open.map((vm) => vm.spec.name).join(', ')} are not kept on ${spec.name}`
      : `machines on ${spec.name} can send under any address`
    return [
      {
        invariant: 'machines-are-guarded',
        severity: isUnkept ? ('danger' as const) : ('defect' as const),
        subject: spec.name,
        message: `${lack}: ${status.firewallDetail || 'its agent says nothing of a firewall'}`,
        next: `Install nftables on ${spec.name} (and load nf_conntrack_bridge or br_netfilter), then restart its agent: machines run on.`,
      },
    ]
  })
}

function hostName(cluster: ClusterState, hostId: HostId): string {
  return cluster.hosts.get(hostId)?.spec.name ?? hostId
}

function vmName(cluster: ClusterState, vmId: string): string {
  return [...cluster.vms.values()].find(({ spec }) => spec.id === vmId)?.spec.name ?? vmId
}
