/** Memory images of the storage in memory. Their bytes are kept and checked as on a disk. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { ImageId, VolumeId } from '../../../model/ids.ts'
import { type ImageFileName, imageFileNames, type MemoryImageManifest } from '../../../model/recovery/memory-image.ts'
import type { ImageFiles } from '../storage.ts'
import { type FakeImage, type FakeWorld, layerOf, volumeOf } from './fake-world.ts'

export async function storeImage(world: FakeWorld, manifest: MemoryImageManifest, files: ImageFiles): Promise<void> {
  const [root] = manifest.disks
  if (root === undefined) throw new DialtoneError('invalid-input', `Image ${manifest.id} has no disk`)
  const { images } = volumeOf(world, root.volumeId)
  const present = images.get(manifest.id)
  if (present !== undefined && isWhole(present)) {
    if (isDeepStrictEqual(present.manifest, manifest)) return
    throw new DialtoneError('wrong-state', `Image ${manifest.id} exists already and is another`)
  }
  for (const { volumeId, layerId } of manifest.disks) {
    const volume = world.volumes.get(volumeId)
    if (volume === undefined) continue
    layerOf(volume, layerId)
    if (volume.current === layerId)
      throw new DialtoneError('wrong-state', `Volume ${volumeId} still writes to its layer`)
  }
  const contents = new Map<ImageFileName, Uint8Array>()
  for (const name of imageFileNames) {
    const content = await world.files.read(files[name]).catch(() => undefined)
    contents.set(name, checked(manifest, name, content))
  }
  images.set(manifest.id, { manifest, contents })
}

export function listImages(world: FakeWorld, volumeId: VolumeId): readonly MemoryImageManifest[] {
  return [...(world.volumes.get(volumeId)?.images.values() ?? [])]
    .filter(isWhole)
    .map(({ manifest }) => manifest)
    .sort((left, right) => Date.parse(left.capturedAt) - Date.parse(right.capturedAt))
}

export async function fetchImage(
  world: FakeWorld,
  { volumeId, imageId }: { readonly volumeId: VolumeId; readonly imageId: ImageId },
  into: ImageFiles,
): Promise<MemoryImageManifest> {
  const image = world.volumes.get(volumeId)?.images.get(imageId)
  if (image === undefined) throw new DialtoneError('not-found', `Volume ${volumeId} has no image ${imageId}`)
  try {
    for (const name of imageFileNames) {
      await world.files.write(into[name], checked(image.manifest, name, image.contents.get(name)))
    }
  } catch (error) {
    for (const name of imageFileNames) await world.files.remove(into[name])
    throw error
  }
  return image.manifest
}

function isWhole({ manifest, contents }: FakeImage): boolean {
  return imageFileNames.every((name) => contents.get(name)?.length === manifest.files[name].bytes)
}

function checked(manifest: MemoryImageManifest, name: ImageFileName, content: Uint8Array | undefined): Uint8Array {
  const corrupt = (what: string) => new DialtoneError('image-corrupt', `The ${name} of image ${manifest.id} ${what}`)
  const { bytes, sha256 } = manifest.files[name]
  if (content?.length !== bytes) throw corrupt('is missing or of another size')
  if (createHash('sha256').update(content).digest('hex') !== sha256) throw corrupt('fails its checksum')
  return content
}
