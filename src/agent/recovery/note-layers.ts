/** Writes down which layers a machine's disks are written to, so that a recovery knows what it replaces without looking. */
import { type Keeping, writeRecord } from '../machines/keeping.ts'
import { bootDisksOf } from './machine-shape.ts'
import { currentLayerOf } from './take-instant.ts'

/**
 * After a life that ended unseen: a layer that is written down and isn't what its disk is written to was made for a recovery that broke off,
 * and holds nothing.
 */
export async function forgetUnusedLayers(keeping: Keeping): Promise<void> {
  const { ports, record, vmId } = keeping
  const before = record.layers
  await noteLayers(keeping)
  for (const { volumeId, layerId } of before) {
    const disk = bootDisksOf(record.machine).find((one) => one.volumeId === volumeId)
    const isCurrent = keeping.record.layers.some((one) => one.volumeId === volumeId && one.layerId === layerId)
    if (disk === undefined || layerId === null || isCurrent) continue
    // One that others lie on is what a capture left, and stays.
    await ports
      .storage(disk.storageId)
      .removeLayer(volumeId, layerId)
      .catch((error: unknown) => ports.logger.info('layer.kept', { vmId, volumeId, layerId, error }))
  }
}

export async function noteLayers(keeping: Keeping): Promise<void> {
  const { ports, record } = keeping
  const layers = []
  for (const disk of bootDisksOf(record.machine))
    layers.push({
      volumeId: disk.volumeId,
      layerId: disk.format === 'qcow2' ? await currentLayerOf(disk, ports) : null,
    })
  await writeRecord(keeping, { layers })
}
