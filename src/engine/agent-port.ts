/** What the engine asks of agents, fence devices and chance. The controller connects it to the network; the simulator to simulated hosts. */
import type { DiskClaim, Inventory } from '../model/agent-protocol/agent-contract.ts'
import type { DiskLink, FlattenReport } from '../model/agent-protocol/clone-orders.ts'
import type {
  ArrivalEnd,
  CopiedDisk,
  Departing,
  DepartureReport,
  DepartureTarget,
} from '../model/agent-protocol/migration-orders.ts'
import type {
  GuestOutput,
  Reverted,
  SnapshotPlace,
  SnapshotReport,
  TidyReport,
} from '../model/agent-protocol/snapshot-orders.ts'
import type { VolumeMirror } from '../model/agent-protocol/volume-orders.ts'
import type { HostSpec } from '../model/host.ts'
import type { HostCommandReport } from '../model/host-command.ts'
import type {
  HostId,
  ImageId,
  LayerId,
  SessionId,
  SnapshotId,
  StorageId,
  TaskId,
  VmId,
  VolumeId,
} from '../model/ids.ts'
import type { DiskFormat, MachineLife, MachineOrder, OrderAuthority } from '../model/machine-order.ts'
import type { Pill } from '../model/protection/pill.ts'
import type { ManifestVersion, VmManifest } from '../model/rebuild/vm-manifest.ts'
import type { InjectedFailure } from '../model/recovery/drill.ts'
import type { Rung } from '../model/recovery/recovery-policy.ts'
import type { Snapshot, SnapshotWish } from '../model/snapshots/snapshot.ts'

/** Every call has a deadline and throws DialtoneError: `host-unreachable`, `deadline-exceeded`, or what the agent refused with. */
export type AgentPort = {
  startMachine(
    host: HostSpec,
    order: { readonly authority: OrderAuthority; readonly epoch: number; readonly machine: MachineOrder },
  ): Promise<void>
  stopMachine(host: HostSpec, order: MachineOrderHead & { readonly mode: 'shutdown' | 'kill' }): Promise<void>
  changeMachine(
    host: HostSpec,
    order: MachineOrderHead & { readonly change: 'pause' | 'resume' | 'reset' },
  ): Promise<void>
  /** Answers only when it is true; the answer is a proof. */
  releaseMachine(
    host: HostSpec,
    order: {
      readonly vmId: VmId
      readonly authority: OrderAuthority
      readonly upToEpoch: number
      /** Refused with `wrong-state` when a write of it may be on its way. */
      readonly onlyIfStill?: boolean
    },
  ): Promise<{ readonly session: SessionId; readonly upToEpoch: number }>
  createVolume(host: HostSpec, order: VolumeOrder): Promise<void>
  deleteVolume(
    host: HostSpec,
    order: { readonly authority: OrderAuthority; readonly volumeId: VolumeId; readonly storageId: StorageId },
  ): Promise<void>
  /** Answers which version is the newest there afterwards: `model/agent-protocol/manifest-orders.ts`. */
  writeManifest(
    host: HostSpec,
    order: {
      readonly authority: OrderAuthority
      readonly volumeId: VolumeId
      readonly storageId: StorageId
      readonly manifest: VmManifest
    },
  ): Promise<ManifestVersion>
  /** Durable and read back when it returns. A null pill clears the slot. */
  writePill(
    host: HostSpec,
    order: {
      readonly authority: OrderAuthority
      readonly storageId: StorageId
      readonly slot: number
      readonly pill: Pill | null
    },
  ): Promise<void>
  /** What a machine that runs is to have and how it recovers, from now on. */
  configureMachine(host: HostSpec, order: MachineOrderHead & { readonly machine: MachineOrder }): Promise<void>
  /** Keeps a machine's image there, with a process that waits. Answers when it has begun. */
  keepStandby(
    host: HostSpec,
    order: {
      readonly vmId: VmId
      readonly authority: OrderAuthority
      readonly machine: MachineOrder
      readonly imageId: ImageId
    },
  ): Promise<void>
  dropStandby(host: HostSpec, order: { readonly vmId: VmId; readonly authority: OrderAuthority }): Promise<void>
  /** Answers when the new image is whole. */
  captureMachine(host: HostSpec, order: MachineOrderHead & { readonly kind: 'recovery' | 'template' }): Promise<ImageId>
  recoverMachine(host: HostSpec, order: MachineOrderHead & { readonly rung: Rung }): Promise<void>
  injectFailure(host: HostSpec, order: MachineOrderHead & { readonly failure: InjectedFailure }): Promise<void>
  /** The orders of a move: see `model/agent-protocol/migration-orders.ts`. */
  prepareDeparture(host: HostSpec, order: MachineOrderHead): Promise<Departing>
  depart(
    host: HostSpec,
    order: MachineOrderHead & {
      readonly target: DepartureTarget
      readonly copied: CopiedDisk[]
      readonly canPostCopy: boolean
    },
  ): Promise<DepartureReport>
  followDeparture(host: HostSpec, order: MachineOrderHead & { readonly waitMs: number }): Promise<DepartureReport>
  abandonDeparture(host: HostSpec, order: MachineOrderHead & { readonly isAloneHere: boolean }): Promise<void>
  /** Answers when a process waits for it. */
  expectArrival(
    host: HostSpec,
    order: MachineOrderHead & {
      readonly machine: MachineOrder
      readonly sourceHostId: HostId
      readonly departing: Departing
      readonly copied: CopiedDisk[]
    },
  ): Promise<{ readonly canPostCopy: boolean }>
  /** Answers when it runs there. */
  completeArrival(host: HostSpec, order: MachineOrderHead): Promise<ArrivalEnd>
  abandonArrival(host: HostSpec, order: MachineOrderHead & { readonly reason: string }): Promise<void>
  /** The orders of a volume that moves: see `model/agent-protocol/volume-orders.ts`. */
  mirrorVolume(host: HostSpec, order: VolumeSwitch & { readonly isOnSameBase: boolean }): Promise<VolumeMirror>
  holdVolume(host: HostSpec, order: VolumeSwitch): Promise<void>
  switchVolume(host: HostSpec, order: VolumeSwitch): Promise<void>
  keepVolume(host: HostSpec, order: VolumeSwitch): Promise<void>
  /** Answers when the copy is durable. */
  copyVolume(host: HostSpec, order: VolumeCopying): Promise<void>
  /** The orders of clones: see `model/agent-protocol/clone-orders.ts`. */
  linkMachineDisks(host: HostSpec, order: MachineOrderHead & DiskLinks): Promise<void>
  linkDisks(
    host: HostSpec,
    order: { readonly vmId: VmId; readonly authority: OrderAuthority } & DiskLinks,
  ): Promise<void>
  flattenVolume(
    host: HostSpec,
    order: {
      readonly authority: OrderAuthority
      readonly volumeId: VolumeId
      readonly storageId: StorageId
      readonly waitMs: number
    },
  ): Promise<FlattenReport>
  /** Begins an administrator's command there, unless this run was begun before; tells how it stands. */
  runHostCommand(
    host: HostSpec,
    order: { readonly authority: OrderAuthority; readonly runId: TaskId; readonly command: string },
  ): Promise<HostCommandReport>
  /** The orders of snapshots: see `model/agent-protocol/snapshot-orders.ts`. */
  snapshotMachine(
    host: HostSpec,
    order: MachineOrderHead & { readonly wish: SnapshotWish; readonly waitMs: number },
  ): Promise<SnapshotReport>
  /** `forMs` 0: it goes on. */
  holdMachine(
    host: HostSpec,
    order: MachineOrderHead & { readonly forMs: number },
  ): Promise<{ readonly isHeld: boolean }>
  snapshotDisks(host: HostSpec, order: ClosedDisks & { readonly wish: SnapshotWish }): Promise<Snapshot>
  removeSnapshot(
    host: HostSpec,
    order: { readonly authority: OrderAuthority; readonly snapshot: SnapshotPlace },
  ): Promise<void>
  tidyMachine(
    host: HostSpec,
    order: MachineOrderHead & { readonly waitMs: number; readonly isCalledOff: boolean },
  ): Promise<TidyReport>
  /** Answers when nothing is left to merge. */
  tidyDisks(host: HostSpec, order: Omit<ClosedDisks, 'overlays'>): Promise<void>
  /** Answers when it runs. */
  revertMachine(
    host: HostSpec,
    order: MachineOrderHead & { readonly taskId: TaskId; readonly snapshot: Snapshot; readonly isPlanned: boolean },
  ): Promise<Reverted>
  revertDisks(host: HostSpec, order: ClosedDisks & { readonly snapshot: Snapshot }): Promise<void>
  runInGuest(
    host: HostSpec,
    order: MachineOrderHead & { readonly command: readonly string[]; readonly timeoutMs: number },
  ): Promise<GuestOutput>
  measureMachine(host: HostSpec, order: MachineOrderHead): Promise<{ readonly writtenMiB: number }>
  inventory(host: HostSpec): Promise<Inventory>
  /** Of every disk that only this host has and that a machine had here. */
  localClaims(host: HostSpec): Promise<{ readonly claims: readonly DiskClaim[] }>
  /** True when the host's kernel answers a connection, even by refusing it: the machine and the way to it are alive. Never throws. */
  knock(host: HostSpec, timeoutMs: number): Promise<boolean>
}

export type MachineOrderHead = { readonly vmId: VmId; readonly authority: OrderAuthority; readonly epoch: number }

/** The disks of a machine that runs nowhere, and the new layer of each. */
export type ClosedDisks = {
  readonly authority: OrderAuthority
  readonly machine: MachineOrder
  readonly life: MachineLife | null
  readonly overlays: readonly { readonly volumeId: VolumeId; readonly layerId: LayerId }[]
}

/** Volumes of a machine with this number, which begin with layers of the machine that the order is about. */
export type DiskLinks = { readonly number: number; readonly links: DiskLink[]; readonly snapshotId: SnapshotId }

export type VolumeSwitch = MachineOrderHead & { readonly volumeId: VolumeId; readonly toStorageId: StorageId }

export type VolumeCopying = {
  readonly authority: OrderAuthority
  readonly volumeId: VolumeId
  readonly fromStorageId: StorageId
  readonly toStorageId: StorageId
  readonly format: DiskFormat
  /** Of its machine. */
  readonly number: number
  readonly isOnSameBase: boolean
}

export type VolumeOrder = {
  readonly authority: OrderAuthority
  readonly volumeId: VolumeId
  readonly storageId: StorageId
  readonly format: DiskFormat
  readonly sizeMiB: number
  readonly baseVersion: string | null
}

export type FencePort = {
  /** Switches the host off and reads the state back; throws when it isn't off. Bounded in time. */
  switchOff(host: HostSpec): Promise<void>
  /** Switches the host on again; throws when the device refuses. */
  switchOn(host: HostSpec): Promise<void>
}

/** Random bytes, as an argument. */
export type RandomBytes = (count: number) => Uint8Array
