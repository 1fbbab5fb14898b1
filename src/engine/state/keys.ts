/** Where each noun lives in the store. One kind of value a prefix, so that a watcher knows what it reads. */
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
} from '../../model/ids.ts'

/** `template-version`: of one that was deleted; hosts and storages may still have its disk, so no other one is ever called so. */
type ClaimedNoun = 'vm' | 'host' | 'storage' | 'network' | 'security-group' | 'iso' | 'template-version' | 'service'

export const keys = {
  cluster: 'cluster',
  network: 'network',
  term: 'leader/term',
  /** Written by every admission that was judged by the reserve: two at once would each not know of the other. */
  admission: 'admission',
  host: (id: HostId) => `host/${id}/spec`,
  hostStatus: (id: HostId) => `host/${id}/status`,
  vm: (id: VmId) => `vm/${id}/spec`,
  vmPlacement: (id: VmId) => `vm/${id}/placement`,
  vmStatus: (id: VmId) => `vm/${id}/status`,
  vmStandby: (id: VmId) => `vm/${id}/standby`,
  vmMigration: (id: VmId) => `vm/${id}/migration`,
  vmOperation: (id: VmId) => `vm/${id}/operation`,
  vmChange: (id: VmId) => `vm/${id}/change`,
  vmSnapshotSchedule: (id: VmId) => `vm/${id}/snapshot-schedule`,
  /** What was written last beside the machine's disks. */
  manifest: (id: VmId) => `manifest/${id}`,
  snapshot: (id: SnapshotId) => `snapshot/${id}`,
  /** Sorted by service, then by time. `source`: who saw it, and its number there. */
  ledgerEntry: (service: VmId, at: string, source: string) => `ledger/${service}/${at}-${source}`,
  storage: (id: StorageId) => `storage/${id}`,
  volume: (id: VolumeId) => `volume/${id}`,
  /** A volume that is to be deleted there. */
  discard: (storageId: StorageId, volumeId: VolumeId) => `discard/${storageId}/${volumeId}`,
  template: (id: TemplateId) => `template/${id}`,
  iso: (id: IsoId) => `iso/${id}`,
  service: (id: ServiceId) => `service/${id}/spec`,
  serviceLessons: (id: ServiceId) => `service/${id}/lessons`,
  task: (id: TaskId) => `task/${id}`,
  securityGroup: (id: SecurityGroupId) => `security-group/${id}`,
  /** Sorted by time: milliseconds and a counter, of fixed width. */
  event: (atMs: number, counter: number) =>
    `event/${String(atMs).padStart(14, '0')}-${String(counter).padStart(4, '0')}`,
  /** Claims that make something unique: the value is the id of the owner. */
  nameClaim: (noun: ClaimedNoun, name: string) => `claim/${noun}-name/${name}`,
  addressClaim: (address: string) => `claim/address/${address}`,
  numberClaim: (noun: 'vm' | 'host' | 'network', number: number) =>
    `claim/${noun}-number/${String(number).padStart(5, '0')}`,
  joinToken: (hash: string) => `join-token/${hash}`,
  user: (name: string) => `user/${name}`,
  /** By the hash of what is presented, as `joinToken`. */
  accessToken: (hash: string) => `access-token/${hash}`,
  userSession: (hash: string) => `user-session/${hash}`,
  virtualNetwork: (id: NetworkId) => `network/${id}`,
  /** Written whenever a card comes into the network: who deletes the network demands that it is unchanged. */
  networkUse: (id: NetworkId) => `network-use/${id}`,
  /** As `addressClaim`, in a network that may have the same addresses as another one. */
  virtualAddressClaim: (id: NetworkId, address: string) => `claim/address/${id}/${address}`,
} as const
