/**
 * One storage as this host sees it, as a port. Siblings: `directory/` (a local folder, or a mounted shared one) and `fake/`; both pass
 * `storage.contract.ts`. A driver declares what it can do, and the planner reads the declaration.
 */
import type { VolumeId } from '../../model/ids.ts'
import type { DiskFormat, MachineLife } from '../../model/machine-order.ts'

export type VolumeRequest = {
  readonly volumeId: VolumeId
  readonly format: DiskFormat
  /** Virtual size; at least that of the base image when one is given. */
  readonly sizeMiB: number
  /** A template's root disk on this host, which the volume becomes an overlay of. The storage keeps its own immutable copy of it. */
  readonly base?: { readonly version: string; readonly path: string }
  /** Everything that writes (qemu-img) runs inside this cgroup. */
  readonly cgroupDirectory: string
}

/** Who claims a volume for writing. Recorded beside the disk; detects mistakes (it is not the fence). */
export type Ownership = { readonly hostName: string; readonly life: MachineLife }

export type StorageUsage = { readonly totalMiB: number; readonly freeMiB: number }

/** What stands in a host's slot: nothing (pill-free), or a pill. Content is the caller's; the driver stores one checksummed block. */
export type Storage = {
  readonly capabilities: { readonly shared: boolean; readonly pills: boolean }
  usage(): Promise<StorageUsage>
  /** Makes the volume; doing it again with the same request is fine. Never leaves a half-made file under the volume's name. */
  createVolume(request: VolumeRequest): Promise<void>
  /** Removes the volume and all that was recorded beside it; a missing one is fine. Refuses (`in-use`) while a process on this host has it open. */
  deleteVolume(volumeId: VolumeId): Promise<void>
  /** Path to give to the hypervisor, after a check that the file is whole (`image-corrupt`, `not-found`). */
  openVolume(volumeId: VolumeId, format: DiskFormat, userId: number): Promise<{ readonly path: string }>
  listVolumes(): Promise<readonly VolumeId[]>
  /** Exclusive create of the claim of this epoch and incarnation. Throws `stale-epoch` when an equal one of another owner, or any higher one, stands there. */
  claimVolume(volumeId: VolumeId, ownership: Ownership): Promise<void>
  /** The highest claim, if any. */
  readClaim(volumeId: VolumeId): Promise<Ownership | undefined>
  /** Reads this block past every cache; undefined when it was never written. Throws `storage-failed` when it can't be read. */
  readSlot(slot: number): Promise<string | undefined>
  /** Durable, and read back past every cache, when it returns. An empty string clears the slot. */
  writeSlot(slot: number, content: string): Promise<void>
}
