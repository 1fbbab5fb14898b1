/** What a waiting process had to itself is written down beside it, so that the next agent removes it if this one dies. */
import type { MachinePorts } from '../machines/machine-ports.ts'

/** Removes the layers of spares that an earlier agent had; those of processes that run on are left alone. */
export async function removeLeftLayers(living: ReadonlySet<string>, ports: MachinePorts): Promise<void> {
  for (const name of await ports.records.listProcessDirectories()) {
    if (!living.has(name)) await removeLayersOf(name, ports)
  }
}

/** Removes the layers that this process had to itself, unless one of them is what the disk is written to. */
export async function removeLayersOf(process: string, ports: MachinePorts): Promise<void> {
  for (const { disk, layerId } of await ports.records.readSpareLayers(process)) {
    // A storage that isn't there at the moment keeps it: a few hundred kilobytes, and nothing refers to it.
    await Promise.resolve()
      .then(() => ports.storage(disk.storageId).removeLayer(disk.volumeId, layerId))
      .catch((error: unknown) => ports.logger.warn('spare.layer-left', { volumeId: disk.volumeId, layerId, error }))
  }
}
