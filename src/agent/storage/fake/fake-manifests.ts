/** Manifests of machines on the storage in memory. */
import { compareVersions, vmManifestSchema } from '../../../model/rebuild/vm-manifest.ts'
import type { ManifestStorage } from '../manifest-storage.ts'
import { type FakeWorld, volumeOf } from './fake-world.ts'

export function createManifestCalls(
  world: FakeWorld,
  call: <T>(effect: () => T | Promise<T>) => Promise<T>,
): ManifestStorage {
  return {
    writeManifest: (volumeId, manifest) =>
      call(() => {
        const volume = volumeOf(world, volumeId)
        const newest = volume.manifest?.version
        if (newest !== undefined && compareVersions(newest, manifest.version) > 0) return newest
        volume.manifest = vmManifestSchema.parse(manifest)
        return manifest.version
      }),
    readManifest: (volumeId) => call(() => world.volumes.get(volumeId)?.manifest),
  }
}
