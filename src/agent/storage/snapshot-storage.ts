/** What a storage does for snapshots, and with the layers that they leave: a part of the port in `storage.ts`. */
import type { LayerId, SnapshotId, VolumeId } from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'

export type ClosedMerge = {
  readonly into: LayerId
  /** What `into` lies on afterwards. */
  readonly on: LayerId | null
  readonly cgroupDirectory: string
}

export type SnapshotStorage = {
  /**
   * Keeps the snapshot beside this volume, the first of its disks on this storage. From then on its layers here are needed; they are
   * marked before it is written, so it is there with all of them or not at all. Doing it again is fine. Throws `wrong-state` when one of
   * its layers is still the current one, `not-found` when one is missing.
   */
  storeSnapshot(volumeId: VolumeId, snapshot: Snapshot): Promise<void>
  /**
   * Keeps what firmware and TPM remember beside this volume as it is now, for a snapshot that is stored after it; it goes with the snapshot.
   * Asked for while the machine stands still or is off. Doing it again keeps what is there then.
   */
  keepGuestState(volumeId: VolumeId, snapshotId: SnapshotId): Promise<void>
  /** What was kept is what firmware and TPM remember from now on: for whoever has claimed the volume. `not-found` when nothing was kept. */
  restoreGuestState(volumeId: VolumeId, snapshotId: SnapshotId): Promise<void>
  /** Those that lie beside this volume, oldest first. What is damaged isn't listed, and needs nothing. */
  listSnapshots(volumeId: VolumeId): Promise<readonly Snapshot[]>
  /** A missing one is fine. Its layers stay, and are let go of. */
  removeSnapshot(volumeId: VolumeId, snapshotId: SnapshotId): Promise<void>
  /** These may be removed as soon as nothing needs them and nothing lies on them. Written down: whoever tidies later knows. */
  letGoOfLayers(volumeId: VolumeId, layerIds: readonly LayerId[]): Promise<void>
  /**
   * Merges what lies between the two layers into the upper one, which no machine may open for writing meanwhile: who calls this sees to
   * that. The layer is replaced by a new file in one step, so who has the old one open to read goes on reading the same. Refuses (`in-use`)
   * one that a process of this host has open. Repeating it is fine; what was merged stays, and is let go of.
   */
  mergeClosedLayers(volumeId: VolumeId, merge: ClosedMerge): Promise<void>
}
