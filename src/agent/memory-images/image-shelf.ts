/** The whole images in the cache's folder, least recently used first. What is found to be damaged is taken off, with a warning. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ImageId, imageIdSchema } from '../../model/ids.ts'
import type { Logger } from '../../model/logger.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import { inspectImage, openImage, publishImage, removeFolder, type SealedImage } from './image-folder.ts'

export type ShelvedImage = SealedImage & { readonly usedBytes: number }

export type ImageShelf = {
  /** Undefined when it isn't here, or isn't as it was when its bytes were checked. It counts as used now. */
  find(imageId: ImageId): Promise<ShelvedImage | undefined>
  /** All that are whole, least recently used first. */
  all(): Promise<readonly ShelvedImage[]>
  /** Makes the image of what is in this work folder. */
  put(workFolder: string, manifest: MemoryImageManifest): Promise<ShelvedImage>
  /** A missing one is fine. */
  remove(imageId: ImageId): Promise<void>
  /** Takes it off as damaged, if this is still the one that is here. */
  discard(image: SealedImage, damage: string): Promise<void>
  /** A name in the same folder for something that is no image yet, or no more. */
  workFolder(name: string): string
}

/** No image begins with a dot. */
const workPrefix = '.work-'

export function createImageShelf(directory: string, logger: Logger): ImageShelf {
  const removals = new Map<ImageId, Promise<void>>()
  let shelf: Promise<Map<ImageId, SealedImage>> | undefined
  const workFolder = (name: string) => join(directory, `${workPrefix}${name}`)
  const images = () => {
    shelf ??= readShelf(directory, logger).catch((error: unknown) => {
      shelf = undefined
      throw error
    })
    return shelf
  }
  const remove = async (imageId: ImageId) => {
    ;(await images()).delete(imageId)
    const removing = removals.get(imageId) ?? removeFolder(join(directory, imageId), workFolder(`removed-${imageId}`))
    removals.set(imageId, removing)
    await removing.finally(() => removals.delete(imageId))
  }
  const discard = async (image: SealedImage, damage: string) => {
    const imageId = image.manifest.id
    if ((await images()).get(imageId)?.seals !== image.seals) return
    logger.warn('memory-image.dropped', { imageId, damage })
    await remove(imageId)
  }
  const inspect = async (image: SealedImage): Promise<ShelvedImage | undefined> => {
    const inspection = await inspectImage(image)
    if (inspection.isWhole) return { ...image, usedBytes: inspection.usedBytes }
    await discard(image, inspection.damage)
    return undefined
  }
  return {
    workFolder,
    remove,
    discard,
    async find(imageId) {
      const here = await images()
      const image = here.get(imageId)
      if (image === undefined) return undefined
      here.delete(imageId)
      here.set(imageId, image)
      return inspect(image)
    },
    async all() {
      const inspected = await Promise.all([...(await images()).values()].map(inspect))
      return inspected.filter((image) => image !== undefined)
    },
    async put(from, manifest) {
      await removals.get(manifest.id)
      const here = await images()
      const image = await publishImage(from, join(directory, manifest.id), manifest)
      here.set(manifest.id, image)
      const shelved = await inspect(image)
      if (shelved === undefined) throw new Error(`the image ${manifest.id} changed while it was put away`)
      return shelved
    },
  }
}

/** What an earlier life of the agent left. Work that it didn't finish is removed; an image counts as used when it was made. */
async function readShelf(directory: string, logger: Logger): Promise<Map<ImageId, SealedImage>> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const found: { readonly image: SealedImage; readonly madeAtMs: number }[] = []
  for (const name of await readdir(directory)) {
    const folder = join(directory, name)
    if (name.startsWith(workPrefix)) await rm(folder, { recursive: true, force: true })
    const imageId = imageIdSchema.safeParse(name)
    if (!imageId.success) continue
    const opened = await openImage(folder, imageId.data)
    if ('image' in opened) found.push({ image: opened.image, madeAtMs: (await stat(folder)).mtimeMs })
    else {
      logger.warn('memory-image.dropped', { imageId: imageId.data, damage: opened.damage })
      await removeFolder(folder, join(directory, `${workPrefix}removed-${name}`))
    }
  }
  found.sort((one, other) => one.madeAtMs - other.madeAtMs)
  return new Map(found.map(({ image }) => [image.manifest.id, image]))
}
