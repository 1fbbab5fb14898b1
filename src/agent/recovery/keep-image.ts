/** A machine's newest memory image: found again after a restart, captured anew, and the older ones let go. */

import type { ImageId } from '../../model/ids.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import { type Keeping, lifeOf } from '../machines/keeping.ts'
import { bakeImage } from './capture-image.ts'
import { freezeInTurn } from './freeze-in-turn.ts'
import { bootDisksOf, rootOf } from './machine-shape.ts'
import type { SpareWish } from './spare-keeper.ts'
import { tidyLayers } from './tidy-layers.ts'

/** Reads which images there are beside the root volume. What can't be read counts as none, and says why. */
export async function findImage(keeping: Keeping): Promise<void> {
  const { ports, record, image } = keeping
  const { mode } = record.machine.recovery
  image.manifest = undefined
  image.note = ''
  if (mode === 'boot') return
  try {
    const { storageId, volumeId } = rootOf(record.machine)
    const images = await ports.storage(storageId).listImages(volumeId)
    image.manifest = images.filter(({ kind }) => kind === mode).at(-1)
    if (image.manifest === undefined) image.note = 'it has no image yet'
    await measureImage(keeping)
  } catch (error) {
    image.note = `its images can't be read: ${messageOf(error)}`
  }
}

/** What a spare of the newest image is made from; undefined when there is no image. */
export function imageFor(keeping: Keeping): SpareWish | undefined {
  const { image, record, running } = keeping
  if (image.manifest === undefined || record.machine.recovery.mode === 'boot') return undefined
  return {
    machine: record.machine,
    image: image.manifest,
    takenTap: running === undefined ? undefined : record.tapName,
    life: { epoch: record.epoch, incarnation: record.incarnation + 1 },
  }
}

/** Keeps a process waiting on the newest image. */
export function keepSpare(keeping: Keeping): void {
  const wish = imageFor(keeping)
  if (wish !== undefined && keeping.running !== undefined) keeping.spare.keep(wish)
}

/**
 * Captures a new image of the running machine and makes it the one that recoveries use. The instant itself goes in turn with everything
 * else that changes the machine; the baking doesn't hold it up. Throws what broke; the last good image stays.
 */
export async function captureNow(keeping: Keeping): Promise<MemoryImageManifest> {
  const { image, ports, record } = keeping
  const { mode } = record.machine.recovery
  const kind = mode === 'checkpoint' ? 'checkpoint' : 'warm'
  image.isCapturing = true
  image.note = 'an image of it is being captured'
  try {
    const task = { machine: record.machine, life: lifeOf(keeping), kind } as const
    const frozen = await freezeInTurn(keeping, task)
    const manifest = await bakeImage(task, frozen, ports)
    const isStillItsImage = keeping.record.epoch === record.epoch && keeping.record.machine.recovery.mode === mode
    if (keeping.isReleased || !isStillItsImage) return manifest
    image.manifest = manifest
    image.note = ''
    // The image is whole: what is left of older ones goes with the next capture.
    await letGoOfOlder(keeping, manifest).catch((error: unknown) =>
      ports.logger.warn('image.older-not-removed', { vmId: keeping.vmId, error }),
    )
    await measureImage(keeping)
    keepSpare(keeping)
    ports.logger.info('image.captured', {
      vmId: keeping.vmId,
      imageId: manifest.id,
      pauseMs: manifest.pauseMs,
      isLive: manifest.isLive,
    })
    return manifest
  } catch (error) {
    image.note = `the capture of an image failed: ${messageOf(error)}`
    ports.logger.warn('image.not-captured', { vmId: keeping.vmId, error })
    throw error
  } finally {
    image.isCapturing = false
    ports.reportSoon()
  }
}

/** How much was written to the image's disks since, and what its files occupy. */
export async function measureImage({ image, record, ports }: Keeping): Promise<void> {
  const { manifest } = image
  if (manifest === undefined) return
  let bytes = 0
  for (const { storageId, volumeId } of bootDisksOf(record.machine)) {
    const layers = await ports.storage(storageId).listLayers(volumeId)
    bytes += layers.find((layer) => layer.isCurrent)?.usedBytes ?? 0
  }
  image.changedMiB = Math.round(bytes / 2 ** 20)
  const cached = await ports.images.get(manifest.id)
  image.sizeMiB = Math.ceil((cached?.usedBytes ?? 0) / 2 ** 20)
}

/** Of a warm machine only the newest image is kept; of a checkpointed one as many as its owner wants. */
async function letGoOfOlder(keeping: Keeping, newest: MemoryImageManifest): Promise<void> {
  const { ports, record } = keeping
  const { machine } = record
  const { storageId, volumeId } = rootOf(machine)
  const storage = ports.storage(storageId)
  const images = (await storage.listImages(volumeId)).filter(({ kind }) => kind === 'warm' || kind === 'checkpoint')
  const kept = machine.recovery.mode === 'checkpoint' ? machine.recovery.keep : 1
  const same = images.filter(({ kind }) => kind === newest.kind)
  const keptIds = new Set<ImageId>(same.slice(-kept).map(({ id }) => id))
  const dropped = images.filter(({ id }) => !keptIds.has(id))
  // The spare has layers open that are about to change.
  await keeping.spare.drop()
  for (const { id } of dropped) {
    // One that a living process has mapped stays in its memory, and is gone with it.
    await ports.images.remove(id, { isForced: true })
    await storage.removeImage(volumeId, id)
  }
  await tidyLayers(keeping)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
