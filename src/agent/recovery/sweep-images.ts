/** Removes this host's copies of images whose machine was deleted: with the root volume their master is gone, and nobody will ask for them. */
import type { VolumeId } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { MemoryImageCache } from '../memory-images/memory-image-cache.ts'
import type { Storage } from '../storage/storage.ts'

/** Leaves everything alone while a storage can't be read: what isn't seen may be there. */
export async function sweepImages(
  images: MemoryImageCache,
  storages: readonly Storage[],
  logger: Logger,
): Promise<void> {
  const kept = await images.list()
  if (kept.length === 0 || storages.length === 0) return
  const volumes = new Set<VolumeId>((await Promise.all(storages.map((storage) => storage.listVolumes()))).flat())
  for (const { manifest } of kept) {
    const [root] = manifest.disks
    if (root === undefined || volumes.has(root.volumeId)) continue
    await images.remove(manifest.id, { isForced: true })
    logger.info('image.swept', { imageId: manifest.id, vmId: manifest.vmId })
  }
}
