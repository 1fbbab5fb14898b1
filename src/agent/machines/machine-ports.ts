/** What the machines' life on a host depends on. The simulator puts simulated ones in their place. */
import type { Duplex } from 'node:stream'
import type { DepartureTarget } from '../../model/agent-protocol/migration-orders.ts'
import type { Clock } from '../../model/clock.ts'
import type { Limits } from '../../model/growth.ts'
import type { IsoId, StorageId, VmId, VolumeId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { MemoryImageCache } from '../memory-images/memory-image-cache.ts'
import type { Network } from '../network/network.ts'
import type { CheckOnce } from '../probes/prober.ts'
import type { LicenceKeeper } from '../protection/licence-keeper.ts'
import type { RecoveryJournal } from '../recovery/recovery-journal.ts'
import type { RungOutcomes } from '../recovery/rung-outcomes.ts'
import type { Storage } from '../storage/storage.ts'
import type { MachineRecords } from './machine-record.ts'

export type MachineCgroups = {
  /** Makes the machine's own cgroup and gives its directory. */
  make(vmId: VmId): Promise<string>
  directory(vmId: VmId): string
  /** SIGKILL to everything in it; returns when it is reaped, throws `deadline-exceeded` otherwise. */
  kill(vmId: VmId, deadlineMs: number): Promise<void>
  remove(vmId: VmId): Promise<void>
  /** What everything in it may take of the processors, from now on. Throws `machine-setup` on a host that can't see to that. */
  limit(vmId: VmId, limits: Pick<Limits, 'cpuPercent' | 'cpuWeight'>): Promise<void>
  /** Makes the cgroup of the process that waits to take this machine over. It is no machine's: what lives there writes to no volume. */
  makeSpare(vmId: VmId): Promise<string>
  /** SIGKILL to what is in it, and removes it. */
  endSpare(vmId: VmId, deadlineMs: number): Promise<void>
  listSpares(): Promise<readonly { readonly name: string; readonly pids: number[] }[]>
  /** A cgroup for programs that write to disks and belong to no running machine (qemu-img). */
  makeForTools(): Promise<string>
  /** Machines' cgroups that hold processes, whatever anybody believes. */
  listPopulated(): Promise<readonly { readonly name: string; readonly pids: number[] }[]>
}

export type BootFiles = {
  readonly vmlinux: string
  readonly initrd: string
  readonly commandLine: string
}

export type MachinePorts = {
  readonly hostName: string
  readonly bootId: string
  readonly clock: Clock
  readonly logger: Logger
  readonly hypervisor: Hypervisor
  readonly records: MachineRecords
  readonly network: Network
  readonly licences: LicenceKeeper
  readonly cgroups: MachineCgroups
  /** This host's memory images. */
  readonly images: MemoryImageCache
  /** What is seen of failures and recoveries goes in here. */
  readonly journal: RecoveryJournal
  /** How well each rung has worked on this host. */
  readonly outcomes: RungOutcomes
  randomBytes(count: number): Uint8Array
  /** Size and SHA-256 of a file of this host. */
  hashFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }>
  sendSignal(pid: number, signal: 'SIGKILL' | 'SIGSTOP'): void
  /** Looks once whether a machine's service answers correctly. */
  checkOnce: CheckOnce
  /** The storage with this id; throws `storage-failed` when this host doesn't have it. */
  storage(storageId: StorageId): Storage
  isShared(storageId: StorageId): boolean
  /** The kernel of its template on this host, fetched when it is not here yet. */
  bootFiles(machine: MachineOrder): Promise<BootFiles>
  /** A disc of the library on this host, fetched when it isn't here yet. */
  discPath(isoId: IsoId): Promise<string>
  /** Writes the disc that tells the machine what it is. */
  makeSeed(machine: MachineOrder, path: string): Promise<void>
  /**
   * Resolves with true when a heartbeat, sent after this call and acknowledged, says that this epoch is the owner's;
   * false when it says that it isn't, or when no acknowledgement comes in time.
   */
  confirmStart(life: { readonly vmId: VmId; readonly epoch: number }): Promise<boolean>
  /** Where a machine of this id is expected on another host. */
  openStreamTo(target: DepartureTarget, vmId: VmId): Promise<Duplex>
  /** To one of its disks there, which is filled from here. */
  openDiskStreamTo(target: DepartureTarget, disk: { readonly vmId: VmId; readonly volumeId: VolumeId }): Promise<Duplex>
  /** Something changed that the leader should hear of at once. */
  reportSoon(): void
}
