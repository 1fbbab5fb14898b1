/** The memory images of a simulated host: there or not, without a byte in them. */
import type { CachedMemoryImage, MemoryImageCache } from '../../agent/memory-images/memory-image-cache.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { ImageId } from '../../model/ids.ts'

const usage = { budgetMiB: 1_000_000, usedMiB: 0, pinnedMiB: 0, freeMiB: 1_000_000 }

export function createImageCacheInMemory(): MemoryImageCache {
  const whole = new Map<ImageId, CachedMemoryImage>()
  const pins = new Map<ImageId, number>()
  const filesOf = (imageId: ImageId) => ({ memory: `/images/${imageId}/memory`, state: `/images/${imageId}/state` })
  return {
    async ensure({ storage, volumeId, imageId }) {
      const present = whole.get(imageId)
      if (present !== undefined) return present
      const files = filesOf(imageId)
      const manifest = await storage.fetchImage(volumeId, imageId, files)
      const image = { manifest, files, usedBytes: 2 }
      whole.set(imageId, image)
      return image
    },
    begin: async (imageId) => filesOf(imageId),
    async finish(manifest) {
      const image = { manifest, files: filesOf(manifest.id), usedBytes: 2 }
      whole.set(manifest.id, image)
      return image
    },
    abandon: async () => undefined,
    get: async (imageId) => whole.get(imageId),
    verify: async (imageId) => whole.has(imageId),
    pin: (imageId) => void pins.set(imageId, (pins.get(imageId) ?? 0) + 1),
    unpin(imageId) {
      const count = (pins.get(imageId) ?? 0) - 1
      if (count > 0) pins.set(imageId, count)
      else pins.delete(imageId)
    },
    async remove(imageId, how) {
      if (how?.isForced !== true && pins.has(imageId)) throw new DialtoneError('in-use', `${imageId} is in use`)
      whole.delete(imageId)
    },
    list: async () => [...whole.values()].map((image) => ({ ...image, isPinned: pins.has(image.manifest.id) })),
    usage: async () => usage,
  }
}
