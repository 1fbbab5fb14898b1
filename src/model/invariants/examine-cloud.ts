/**
 * The invariants of a live cloud, as pure checks over what is stored and what hosts really have. Shared by `dialtone doctor` and the
 * simulator: each has a name, and a finding says what to do.
 */
import type { Inventory } from '../agent-protocol/agent-contract.ts'
import type { Finding } from '../api/views.ts'
import type { ClusterState } from '../cluster-state.ts'
import type { HostId, VmId } from '../ids.ts'

export type CloudFacts = {
  readonly cluster: ClusterState
  /** What each host that answered really has. */
  readonly inventories: ReadonlyMap<HostId, Inventory>
}

type Checker = (facts: CloudFacts) => readonly Finding[]

/** Every invariant by its name. */
export const invariants: Readonly<Record<string, Checker>> = {
  'one-writer-per-volume': oneWriterPerVolume,
  'placement-matches-reality': placementMatchesReality,
  'nothing-unordered-runs': nothingUnorderedRuns,
  'no-orphan-taps': noOrphanTaps,
  'no-orphan-volumes': noOrphanVolumes,
  'no-missing-volumes': noMissingVolumes,
  'claims-are-unique': claimsAreUnique,
  'capacity-never-exceeded': capacityNeverExceeded,
  'tasks-end': tasksEnd,
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
  return [...holders]
    .filter(([, hosts]) => hosts.length > 1)
    .map(([vmId, hosts]) => ({
      invariant: 'one-writer-per-volume',
      severity: 'danger',
      subject: vmName(cluster, vmId),
      message: `processes of ${vmName(cluster, vmId)} run on ${hosts.join(' and ')}`,
      next: 'Kill the one that is not the placed host’s at once, and check the disk.',
    }))
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
      if (vm?.placement?.hostId === hostId) continue
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
      .filter(({ vmId }) => vmId === null || !inventory.machines.some((machine) => machine.vmId === vmId))
      .map(({ tapName }) => ({
        invariant: 'no-orphan-taps',
        severity: 'untidy' as const,
        subject: tapName,
        message: `the tap ${tapName} on ${hostName(cluster, hostId)} belongs to no machine there`,
        next: `Remove it on that host: ip link del ${tapName}`,
      })),
  )
}

/** Volumes of a VM that is just being made or deleted are the task's business. */
function noOrphanVolumes({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const found = new Map<string, string>()
  for (const [hostId, { volumes }] of inventories)
    for (const { volumeId } of volumes) found.set(volumeId, hostName(cluster, hostId))
  const known = new Set<string>(cluster.volumes.keys())
  return [...found]
    .filter(([volumeId]) => !known.has(volumeId))
    .map(([volumeId, host]) => ({
      invariant: 'no-orphan-volumes',
      severity: 'untidy',
      subject: volumeId,
      message: `the volume ${volumeId}, seen from ${host}, belongs to no VM`,
      next: 'If nobody misses it, delete its folder on the storage.',
    }))
}

function noMissingVolumes({ cluster, inventories }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const volume of cluster.volumes.values()) {
    const vm = cluster.vms.get(volume.vmId)
    if (vm?.spec.lifecycle !== 'live') continue
    const views = [...inventories.values()].filter((inventory) =>
      inventory.storages.some(({ storageId, error }) => storageId === volume.storageId && error === null),
    )
    if (views.length === 0 || views.some(({ volumes }) => volumes.some(({ volumeId }) => volumeId === volume.id)))
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

function claimsAreUnique({ cluster }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const field of ['name', 'address', 'macAddress', 'number'] as const) {
    const owners = new Map<string | number, string[]>()
    for (const { spec } of cluster.vms.values()) owners.set(spec[field], [...(owners.get(spec[field]) ?? []), spec.id])
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

function capacityNeverExceeded({ cluster }: CloudFacts): readonly Finding[] {
  const findings: Finding[] = []
  for (const { spec, status } of cluster.hosts.values()) {
    const placed = [...cluster.vms.values()].filter(
      (vm) => vm.placement?.hostId === spec.id && vm.spec.desired !== 'stopped',
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

function hostName(cluster: ClusterState, hostId: HostId): string {
  return cluster.hosts.get(hostId)?.spec.name ?? hostId
}

function vmName(cluster: ClusterState, vmId: string): string {
  return [...cluster.vms.values()].find(({ spec }) => spec.id === vmId)?.spec.name ?? vmId
}
