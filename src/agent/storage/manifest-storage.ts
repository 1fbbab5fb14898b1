/** What a storage does for the manifests of machines: a part of the port in `storage.ts`. */
import type { VolumeId } from '../../model/ids.ts'
import type { ManifestVersion, VmManifest } from '../../model/rebuild/vm-manifest.ts'

export type ManifestStorage = {
  /**
   * Keeps this manifest beside the volume, and answers which version is the newest there afterwards: a newer one stays what it is, whoever
   * writes an older one after it, and however late. Durable when it returns. `not-found` without the volume.
   */
  writeManifest(volumeId: VolumeId, manifest: VmManifest): Promise<ManifestVersion>
  /** The newest that is whole; undefined when there is none. */
  readManifest(volumeId: VolumeId): Promise<VmManifest | undefined>
}
