/**
 * Keeps a volume's chain of layers short: what lies between two layers that an image needs is merged into the upper one while the machine
 * runs, and layers that a recovery replaced go after some days. Nothing is merged into the layer that is written, or below the first one.
 */
import type { LayerId } from '../../model/ids.ts'
import type { MachineDisk } from '../../model/machine-order.ts'
import type { MemoryImageManifest } from '../../model/recovery/memory-image.ts'
import { type Keeping, writeRecord } from '../machines/keeping.ts'
import type { LayerInfo, Storage } from '../storage/storage.ts'
import { bootDisksOf, diskOf } from './machine-shape.ts'

/** How long the disk that a recovery replaced stays, and how many of them at the most. */
const replacedKeptMs = 3 * 86_400_000
const replacedKept = 4

export type LayerMerge = {
  readonly into: LayerId
  /** What `into` lies on afterwards. */
  readonly on: LayerId | null
  readonly merged: readonly LayerId[]
}

/** Which merges shorten the chain of the current layer, when these layers have to stay what they are. Pure. */
export function planMerges(layers: readonly LayerInfo[], needed: ReadonlySet<LayerId | null>): readonly LayerMerge[] {
  const byId = new Map(layers.map((layer) => [layer.layerId, layer]))
  const merges: LayerMerge[] = []
  let upper: LayerId | undefined
  let merged: LayerId[] = []
  const current = layers.find((layer) => layer.isCurrent)
  // From the layer under the written one down to the first, which stays.
  for (let id = current?.on; id !== undefined; id = byId.get(id)?.on) {
    const isKept = id === null || needed.has(id)
    if (id !== null && !isKept) merged.push(id)
    else if (upper !== undefined && merged.length > 0) merges.push({ into: upper, on: id, merged })
    if (isKept) {
      upper = id ?? undefined
      merged = []
    }
  }
  return merges
}

export async function mergeUnneededLayers(keeping: Keeping, images: readonly MemoryImageManifest[]): Promise<void> {
  await dropReplaced(keeping)
  await dropUnneeded(keeping)
  for (const disk of bootDisksOf(keeping.record.machine)) {
    const needed = new Set(
      images.flatMap(({ disks }) =>
        disks.filter(({ volumeId }) => volumeId === disk.volumeId).map(({ layerId }) => layerId),
      ),
    )
    const storage = keeping.ports.storage(disk.storageId)
    for (const merge of planMerges(await storage.listLayers(disk.volumeId), needed))
      await carryOut(keeping, { disk, merge, storage })
  }
}

async function carryOut(
  keeping: Keeping,
  { disk, merge, storage }: { readonly disk: MachineDisk; readonly merge: LayerMerge; readonly storage: Storage },
): Promise<void> {
  const { running } = keeping
  if (running === undefined) return
  const { volumeId } = disk
  const topPath = await storage.layerPath(volumeId, merge.into)
  const basePath = await storage.layerPath(volumeId, merge.on)
  await running.mergeLayers(volumeId, { topPath, basePath })
  await storage.layerMerged(volumeId, merge.into, merge.on)
  // One that something else still lies on waits for a later round.
  const merged = merge.merged.map((layerId) => ({ volumeId, layerId }))
  await writeRecord(keeping, { unneededLayers: [...keeping.record.unneededLayers, ...merged] })
  await dropUnneeded(keeping)
}

/** One that has become what the disk is written to, or was, is needed after all: it goes as such. */
export async function dropUnneeded(keeping: Keeping): Promise<void> {
  const { ports, vmId, record } = keeping
  const gone = new Set<LayerId>()
  for (const { volumeId, layerId } of record.unneededLayers) {
    const disk = diskOf(record.machine, volumeId)
    if (disk === undefined) continue
    const storage = ports.storage(disk.storageId)
    const found = (await storage.listLayers(volumeId)).find((each) => each.layerId === layerId)
    if (found === undefined || found.isCurrent || found.replacedAt !== null) {
      gone.add(layerId)
      continue
    }
    await storage
      .removeLayer(volumeId, layerId)
      .then(() => gone.add(layerId))
      .catch((error: unknown) => ports.logger.info('layer.kept', { vmId, volumeId, layerId, error }))
  }
  if (gone.size === 0) return
  const unneededLayers = keeping.record.unneededLayers.filter(({ layerId }) => !gone.has(layerId))
  await writeRecord(keeping, { unneededLayers })
}

/** The disks that recoveries have replaced, on whichever host, are kept for some days, for whoever misses something on them. */
export async function dropReplaced(keeping: Keeping): Promise<void> {
  const { record, ports, vmId } = keeping
  const oldestMs = ports.clock.wallTime().getTime() - replacedKeptMs
  for (const { storageId, volumeId, format } of bootDisksOf(record.machine)) {
    if (format !== 'qcow2') continue
    const storage = ports.storage(storageId)
    const replaced = (await storage.listLayers(volumeId))
      .flatMap(({ layerId, replacedAt }) => (layerId === null || replacedAt === null ? [] : [{ layerId, replacedAt }]))
      .toSorted((one, other) => other.replacedAt.getTime() - one.replacedAt.getTime())
    const old = replaced.filter(({ replacedAt }, index) => index >= replacedKept || replacedAt.getTime() < oldestMs)
    for (const { layerId } of old)
      await storage
        .removeLayer(volumeId, layerId)
        .catch((error: unknown) => ports.logger.info('layer.kept', { vmId, volumeId, layerId, error }))
  }
}
