/**
 * Which layers an image needs, recorded beside the disks as empty files whose names say it all, `needed+LAYER+IMAGE+ROOT VOLUME`: one look
 * into a volume's folder answers it. Made before the image's manifest and removed after it; one whose image isn't there says nothing.
 */
import { open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type ImageId, type LayerId, layerIdSchema, type VolumeId } from '../../../model/ids.ts'
import { layerFileName } from './current-layer.ts'
import { layerUnder, maximumLayers, readLinkIfThere } from './disk-chain.ts'
import { isErrno, syncPath } from './durable-files.ts'

export const manifestName = 'manifest.json'

/** An image, and the volume that it lies beside. */
export type ImagePlace = { readonly imageId: ImageId; readonly rootVolumeId: VolumeId }

/** `folder` is that of the volume whose layer it is. */
export async function markNeeded(folder: string, layerId: LayerId | null, image: ImagePlace): Promise<void> {
  const path = join(folder, `needed+${layerId ?? 'first'}+${image.imageId}+${image.rootVolumeId}`)
  const file = await open(path, 'a', 0o644)
  await file.close()
  await syncPath(folder)
}

/** Takes back what `markNeeded` wrote for this image; a volume that isn't there is fine. */
export async function unmarkNeeded(folder: string, image: ImagePlace): Promise<void> {
  const ending = `+${image.imageId}+${image.rootVolumeId}`
  for (const name of await namesIn(folder)) {
    if (name.startsWith('needed+') && name.endsWith(ending)) await rm(join(folder, name), { force: true })
  }
}

/** An image that is there and needs this layer, or one that lies on it. `names` is what the volume's folder holds. */
export async function imageThatNeeds(
  folder: string,
  layerId: LayerId | null,
  names: readonly string[],
): Promise<string | undefined> {
  for (const name of names) {
    const [kind, needed, imageId, rootVolumeId] = name.split('+')
    if (kind !== 'needed' || imageId === undefined || rootVolumeId === undefined) continue
    const top = needed === 'first' ? null : layerIdSchema.safeParse(needed).data
    if (top === undefined || !(await liesOn(folder, top, layerId))) continue
    const manifestPath = join(dirname(folder), rootVolumeId, 'images', imageId, manifestName)
    if (await isThere(manifestPath)) return imageId
  }
  return undefined
}

/** Whether the way down from `top` comes to this layer. */
async function liesOn(folder: string, top: LayerId | null, layerId: LayerId | null): Promise<boolean> {
  let next: LayerId | null = top
  for (let depth = 0; next !== layerId; depth += 1) {
    if (next === null || depth > maximumLayers) return false
    const link = await readLinkIfThere(join(folder, layerFileName(next)))
    if (link === undefined) return false
    next = layerUnder(link)
  }
  return true
}

/** What a folder holds; nothing when it isn't there. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  })
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}
