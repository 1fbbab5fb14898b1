/** What a storage does for volumes that begin as copies of others: a part of the port in `storage.ts`. */
import type { Readable } from 'node:stream'
import type { LayerId, SnapshotId, VolumeId } from '../../model/ids.ts'

export type LinkRequest = {
  /** The new volume. */
  readonly volumeId: VolumeId
  readonly from: {
    readonly volumeId: VolumeId
    readonly layerId: LayerId | null
    /** What firmware remembered at this snapshot goes with it; null: nothing. */
    readonly snapshotId: SnapshotId | null
  }
  /** What the new volume is written to. */
  readonly overlay: LayerId
  /** Who will open it. */
  readonly userId: number
  readonly cgroupDirectory: string
}

export type Flattening = {
  readonly cgroupDirectory: string
  readonly signal: AbortSignal
  /** Told once: asks how much of it is done, from 0 to 1. */
  begins(progress: () => Promise<number>): void
}

/** As large as it says, however long its reader takes. */
export type VolumeFile = { readonly size: number; readonly stream: Readable }

export type CloneStorage = {
  /**
   * Makes a volume with the content of this layer of another one here. It shares the layer and all under it, each of which stays until
   * neither volume has it, whichever goes first; from then on nobody writes to them. Nothing may merge layers of the source meanwhile: who
   * calls this sees to that. Doing it again is fine. Throws `wrong-state` when the layer is still the current one.
   */
  linkVolume(request: LinkRequest): Promise<void>
  /**
   * Makes a volume that no machine has open stand alone, in one layer that shares nothing. Called off or broken off, it is what it was.
   * Doing it again is fine. Refuses (`in-use`) one that is open here.
   */
  flattenVolume(volumeId: VolumeId, how: Flattening): Promise<void>
  /** The file of a qcow2 volume that stands alone and that no machine has open. Throws `wrong-state` for one that lies on anything, `in-use`. */
  readVolume(volumeId: VolumeId): Promise<VolumeFile>
}
