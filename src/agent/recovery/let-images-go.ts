/** A memory image is worth something only with the disks of its instant: when one of them is moved, all images of its machine go. */
import type { Keeping } from '../machines/keeping.ts'
import { rootOf } from './machine-shape.ts'

/** What can't be removed now is not used all the same, and is told. */
export async function letImagesGo(keeping: Keeping): Promise<void> {
  const { ports, image, record, vmId } = keeping
  if (record.machine.recovery.mode === 'boot') return
  const { manifest } = image
  image.manifest = undefined
  image.sizeMiB = 0
  image.changedMiB = 0
  image.note = noteOfMove(keeping)
  try {
    await keeping.spare.drop()
    // Those beside a root disk that moved go with what is left of it.
    if (manifest !== undefined) await ports.images.remove(manifest.id, { isForced: true })
    const { storageId, volumeId } = rootOf(record.machine)
    const storage = ports.storage(storageId)
    for (const { id, kind } of await storage.listImages(volumeId)) {
      if (kind !== 'warm' && kind !== 'checkpoint') continue
      await ports.images.remove(id, { isForced: true })
      await storage.removeImage(volumeId, id)
    }
  } catch (error) {
    ports.logger.warn('image.not-let-go', { vmId, error })
  }
  ports.reportSoon()
}

/** Its data volumes would have to be taken from the guest for a moment: that is for its owner to say. */
export function noteOfMove({ record }: Keeping): string {
  const { name } = record.machine
  return `it has no image since a disk of it was moved: capture one with dialtone vm warm ${name}`
}
