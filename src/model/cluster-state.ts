/** The cluster as decisions see it: what is stored, at one revision. Decisions are functions of this and of what the leader observed. */
import type { ClusterSpec, NetworkSpec, Task, TemplateSpec } from './cluster.ts'
import type { SecurityGroup } from './firewall.ts'
import type { HostSpec, HostStatus } from './host.ts'
import type {
  HostId,
  IsoId,
  NetworkId,
  SecurityGroupId,
  ServiceId,
  SnapshotId,
  StorageId,
  TaskId,
  TemplateId,
  VmId,
  VolumeId,
} from './ids.ts'
import type { IsoSpec } from './iso.ts'
import type { DiscardedVolume } from './migration/disk-copy.ts'
import type { VmMigration } from './migration/vm-migration.ts'
import type { VirtualNetwork } from './network.ts'
import type { ServiceRecord } from './service/service.ts'
import type { Snapshot } from './snapshots/snapshot.ts'
import type { SnapshotSchedule } from './snapshots/snapshot-schedule.ts'
import type { VmChange } from './snapshots/vm-change.ts'
import type { VmOperation } from './snapshots/vm-operation.ts'
import type { StorageSpec, VolumeSpec } from './storage.ts'
import type { MachineReport, VmPlacement, VmSpec, VmStandby, VmStatus } from './vm.ts'

export type VmRecord = {
  readonly spec: VmSpec
  readonly placement: VmPlacement | undefined
  readonly status: VmStatus | undefined
  readonly standby: VmStandby | undefined
  /** It moves, or what moved it has not been cleared away yet. */
  readonly migration?: VmMigration | undefined
  /** A task works on its disks. */
  readonly operation?: VmOperation | undefined
  /** Its owner tries something out, and may go back. */
  readonly change?: VmChange | undefined
  readonly snapshotSchedule?: SnapshotSchedule | undefined
}
export type HostRecord = { readonly spec: HostSpec; readonly status: HostStatus }

export type ClusterState = {
  readonly cluster: ClusterSpec
  /** The addresses of the flat network. */
  readonly network: NetworkSpec | undefined
  readonly hosts: ReadonlyMap<HostId, HostRecord>
  readonly vms: ReadonlyMap<VmId, VmRecord>
  readonly storages: ReadonlyMap<StorageId, StorageSpec>
  readonly volumes: ReadonlyMap<VolumeId, VolumeSpec>
  readonly templates: ReadonlyMap<TemplateId, TemplateSpec>
  readonly tasks: ReadonlyMap<TaskId, Task>
  readonly securityGroups: ReadonlyMap<SecurityGroupId, SecurityGroup>
  readonly snapshots: ReadonlyMap<SnapshotId, Snapshot>
  /** All networks but the flat one. */
  readonly networks: ReadonlyMap<NetworkId, VirtualNetwork>
  readonly services: ReadonlyMap<ServiceId, ServiceRecord>
  /** The discs of the library. */
  readonly isos: ReadonlyMap<IsoId, IsoSpec>
  /** What is left of volumes where they are not any more, by storage and volume. */
  readonly discards: ReadonlyMap<string, DiscardedVolume>
}

/** What the leader knows of a host from its heartbeats. Kept in memory only. */
export type HostObservation = {
  /** Since the last acknowledgement that was given to it. What a lease is counted from. */
  readonly silentMs: number
  /** The same, but only the time in which the leader itself was attentive: what suspicion is counted from. */
  readonly attentiveSilentMs: number
  /** Attentive time since a question was sent that its kernel answered; Infinity when none was since it fell silent. */
  readonly kernelAnsweredAgoMs: number
  /** Heartbeats in a row that came from it and said that the one before them had no answer. */
  readonly unheardAnswers: number
  readonly reports: ReadonlyMap<VmId, MachineReport>
  /** How long ago it last read its slot on each storage that it has told of. */
  readonly unreadMs: ReadonlyMap<StorageId, number>
  /** Storages whose slot it has read lately. */
  readonly reachableStorages: ReadonlySet<StorageId>
}

/** True when every disk is on storage that other hosts open too. */
export function isOnSharedStorage(vm: VmSpec, storages: ClusterState['storages']): boolean {
  return vm.disks.every((disk) => storages.get(disk.storageId)?.shared === true)
}

/** The host to which local disks bind a machine; null when every disk is on shared storage. */
export function boundHostOf(disks: VmSpec['disks'], storages: ClusterState['storages']): HostId | null {
  return disks.map(({ storageId }) => storages.get(storageId)?.hostId ?? null).find((hostId) => hostId !== null) ?? null
}

/** True for a machine that a lease may kill: HA, on shared storage. */
export function isLeased(vm: VmSpec, storages: ClusterState['storages']): boolean {
  return vm.ha && isOnSharedStorage(vm, storages)
}

/** True for a host that is heard and isn't being fenced: what it reports counts, though it may take no orders. */
export function isHeard(host: HostRecord): boolean {
  return isAnswering(host) || isDeaf(host)
}

/** True for a host that is heard, and that no order reaches. */
export function isDeaf({ status }: HostRecord): boolean {
  return status.state === 'deaf' && status.fencing === null
}

/** True for a host that answers and isn't being fenced: what it reports counts, and it takes orders. */
export function isAnswering({ status }: HostRecord): boolean {
  return (status.state === 'online' || status.state === 'maintenance') && status.fencing === null
}
