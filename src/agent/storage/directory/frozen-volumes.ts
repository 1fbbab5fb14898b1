/** The disks of an instant: what an image or a snapshot is made of, as far as it is on this storage. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { LayerId, VolumeId } from '../../../model/ids.ts'
import { layerFileName, readCurrentLayer } from './current-layer.ts'
import { namesIn } from './needed-layers.ts'
import { type StoragePlace, volumeFolder } from './storage-place.ts'

type FrozenDisk = { readonly volumeId: VolumeId; readonly layerId: LayerId | null }

/** In the order in which they are given. `wrong-state` for one that is still written to: it is not the disk of an instant. */
export async function frozenVolumes(
  disks: readonly FrozenDisk[],
  place: StoragePlace,
): Promise<readonly { readonly folder: string; readonly layerId: LayerId | null }[]> {
  const volumes = []
  for (const { volumeId, layerId } of disks) {
    const folder = volumeFolder(place, volumeId)
    const names = await namesIn(folder)
    // A disk of another storage is that storage's to keep.
    if (names.length === 0) continue
    if (!names.includes(layerFileName(layerId)))
      throw new DialtoneError('not-found', `Volume ${volumeId} has no layer ${layerId ?? 'at all'}, which is needed`)
    if ((await readCurrentLayer(folder)) === layerId)
      throw new DialtoneError('wrong-state', `Volume ${volumeId} still writes to the layer that is needed`)
    volumes.push({ folder, layerId })
  }
  return volumes
}
