/**
 * One storage as this host sees it, as a port. Siblings: `directory/` (a local folder, or a mounted shared one) and `fake/`; both pass
 * `storage.contract.ts`. A driver declares what it can do, and the planner reads the declaration.
 */
import type { ImageId, LayerId, VolumeId } from '../../model/ids.ts'
import type { DiskFormat, MachineLife } from '../../model/machine-order.ts'
import type { ImageFileName, MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import type { CloneStorage } from './clone-storage.ts'
import type { ManifestStorage } from './manifest-storage.ts'
import type { SnapshotStorage } from './snapshot-storage.ts'

export type VolumeRequest = {
  readonly volumeId: VolumeId
  readonly format: DiskFormat
  /** Virtual size; at least that of the base image when one is given. */
  readonly sizeMiB: number
  /** A template's root disk on this host, which the volume becomes an overlay of. The storage keeps its own immutable copy of it. */
  readonly base?: {
    readonly version: string
    /** Undefined for a base that was published on this storage. */
    readonly path: string | undefined
  }
  /** Everything that writes (qemu-img) runs inside this cgroup. */
  readonly cgroupDirectory: string
}

/** Who claims a volume for writing. Recorded beside the disk; detects mistakes (it is not the fence). */
export type Ownership = {
  readonly hostName: string
  readonly life: MachineLife
  /** Of its host when it was claimed. */
  readonly bootId?: string | undefined
}

export type StorageUsage = { readonly totalMiB: number; readonly freeMiB: number }

/**
 * A qcow2 volume is a chain of layers: the first one (layer id null), and overlays on it. One of them is current: it is what `openVolume`
 * opens and what a machine writes to. A layer under another one is never written to again.
 */
export type LayerInfo = {
  readonly layerId: LayerId | null
  /** The layer that it lies on; undefined for the first one. */
  readonly on: LayerId | null | undefined
  /** What it occupies: all that was written since it was made. */
  readonly usedBytes: number
  readonly isCurrent: boolean
  readonly modifiedAt: Date
  /** Since when a layer that does not lie on it is current in its place, as after a recovery; null when it is no such layer. */
  readonly replacedAt: Date | null
  /** An image or a snapshot that is there needs this very layer: its content has to stay what it is. */
  readonly isNeeded: boolean
  /** Somebody has let go of it: it may be removed when nothing needs it and nothing lies on it. */
  readonly isLetGo: boolean
  /** Another volume has it, too: nobody writes to it. */
  readonly isShared: boolean
}

export type LayerRequest = {
  readonly layerId: LayerId
  /** The layer that it is to lie on. */
  readonly on: LayerId | null
  /** Who will open it, and everything under it. */
  readonly userId: number
  readonly cgroupDirectory: string
}

export type ImageFiles = Readonly<Record<ImageFileName, string>>

export type GuestStateRequest = {
  /** The file that new UEFI variables are a copy of; null for a machine without them. */
  readonly variables: string | null
  readonly hasTpm: boolean
  /** Who will open it. */
  readonly userId: number
}

export type GuestStateFiles = { readonly variablesPath: string | null; readonly tpmDirectory: string | null }

/** What stands in a host's slot: nothing (pill-free), or a pill. Content is the caller's; the driver stores one checksummed block. */
export type Storage = SnapshotStorage &
  CloneStorage &
  ManifestStorage & {
    readonly capabilities: { readonly shared: boolean; readonly pills: boolean }
    usage(): Promise<StorageUsage>
    /** Makes the volume; doing it again with the same request is fine. Never leaves a half-made file under the volume's name. */
    createVolume(request: VolumeRequest): Promise<void>
    /** Removes the volume and all that was recorded beside it; a missing one is fine. Refuses (`in-use`) while a process on this host has it open. */
    deleteVolume(volumeId: VolumeId): Promise<void>
    /** Path to give to the hypervisor, after a check that the file is whole (`image-corrupt`, `not-found`). */
    openVolume(volumeId: VolumeId, format: DiskFormat, userId: number): Promise<{ readonly path: string }>
    /**
     * What a machine's firmware and TPM remember, kept beside its root volume and deleted with it: made when it is missing, and else as it was
     * left. For whoever has claimed the volume. `not-found` without the volume.
     */
    openGuestState(volumeId: VolumeId, request: GuestStateRequest): Promise<GuestStateFiles>
    listVolumes(): Promise<readonly VolumeId[]>
    /** Makes an empty layer, beside the current one: nothing writes to it yet. Doing it again with the same request is fine. */
    addLayer(volumeId: VolumeId, request: LayerRequest): Promise<{ readonly path: string }>
    /**
     * Makes this layer the one that `openVolume` opens. Durable when it returns, and quick: a recovery waits for it. Refuses (`in-use`) one
     * that an image or a snapshot needs, or that lies under one. Which layer was replaced by it, and when, is written down in the same step.
     */
    useLayer(volumeId: VolumeId, layerId: LayerId | null): Promise<void>
    listLayers(volumeId: VolumeId): Promise<readonly LayerInfo[]>
    /** Path of a layer, whatever it is to this volume. */
    layerPath(volumeId: VolumeId, layerId: LayerId | null): Promise<string>
    /** Removes it; a missing one is fine. Refuses (`in-use`) the current one, one that others lie on, one that an image or a snapshot needs, one
     * that is open here. Of one that was let go of or replaced, what it lay on is let go of, too. */
    removeLayer(volumeId: VolumeId, layerId: LayerId): Promise<void>
    /**
     * Makes durable that `layerId` lies on `on` now, after the hypervisor has merged what was between them and written the bare file name of
     * `on` into the layer. Throws `wrong-state` when another name stands there: nothing that was merged may go then.
     */
    layerMerged(volumeId: VolumeId, layerId: LayerId, on: LayerId | null): Promise<void>
    /**
     * Makes the content of a layer, flattened down to the template that it comes from, a base that volumes are made from: `version` as in
     * `VolumeRequest.base`. Doing it again is fine.
     */
    publishBase(
      volumeId: VolumeId,
      layerId: LayerId | null,
      how: { readonly version: string; readonly cgroupDirectory: string },
    ): Promise<void>
    /** A missing one is fine. Refuses (`in-use`) one that volumes or other bases lie on. */
    removeBase(version: string): Promise<void>
    /**
     * Keeps an image beside its root volume, sparse, to the byte as the manifest says; the manifest is written last. Doing it again is fine.
     * Throws `image-corrupt` when a file isn't what the manifest says, `wrong-state` when one of its layers is still the current one.
     */
    storeImage(manifest: MemoryImageManifest, files: ImageFiles): Promise<void>
    /** The whole images of a volume, oldest first. What is half there or damaged isn't listed. */
    listImages(volumeId: VolumeId): Promise<readonly MemoryImageManifest[]>
    /** Copies an image into these new files, sparse, and checks every byte: `image-corrupt` when it isn't what the manifest says; nothing is left then. */
    fetchImage(volumeId: VolumeId, imageId: ImageId, into: ImageFiles): Promise<MemoryImageManifest>
    /** A missing one is fine. Its layers stay. */
    removeImage(volumeId: VolumeId, imageId: ImageId): Promise<void>
    /** Exclusive create of the claim of this epoch and incarnation. Throws `stale-epoch` when an equal one of another owner, or any higher one, stands there. */
    claimVolume(volumeId: VolumeId, ownership: Ownership): Promise<void>
    /** The highest claim, if any. */
    readClaim(volumeId: VolumeId): Promise<Ownership | undefined>
    /** Reads this block past every cache; undefined when it was never written. Throws `storage-failed` when it can't be read. */
    readSlot(slot: number): Promise<string | undefined>
    /** Durable, and read back past every cache, when it returns. An empty string clears the slot. */
    writeSlot(slot: number, content: string): Promise<void>
  }
