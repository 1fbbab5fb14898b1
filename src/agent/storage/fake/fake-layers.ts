/** Layers and bases of the storage in memory. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { LayerId, VolumeId } from '../../../model/ids.ts'
import type { LayerInfo, LayerRequest } from '../storage.ts'
import {
  type FakeVolume,
  type FakeWorld,
  fakeLayerPath,
  isShared,
  layeredVolumeOf,
  layerOf,
  neededDisks,
  neederOf,
} from './fake-world.ts'

const maximumLayers = 48

export function addLayer(world: FakeWorld, volumeId: VolumeId, { layerId, on }: LayerRequest): { path: string } {
  const volume = layeredVolumeOf(world, volumeId)
  if (lengthOf(volume, on) > maximumLayers) throw new DialtoneError('wrong-state', `No more layers fit on ${volumeId}`)
  const present = volume.layers.get(layerId)
  if (present === undefined) volume.layers.set(layerId, { on, usedBytes: 0, modifiedAt: world.now() })
  else if (present.on !== on) throw new DialtoneError('wrong-state', `Layer ${layerId} exists already on another`)
  return { path: fakeLayerPath(volumeId, layerId) }
}

export function useLayer(world: FakeWorld, volumeId: VolumeId, layerId: LayerId | null): void {
  const volume = layeredVolumeOf(world, volumeId)
  layerOf(volume, layerId)
  const needer = neederOf(world, volumeId, layerId)
  if (needer !== undefined) throw new DialtoneError('in-use', `${needer} needs the layer: nothing may write to it`)
  if (isShared(world, layerOf(volume, layerId)))
    throw new DialtoneError('in-use', 'another volume has the layer: nothing may write to it')
  const before = volume.current
  if (before !== null && before !== layerId && layerOf(volume, layerId).on !== before)
    volume.replaced.set(before, world.now())
  if (layerId !== null) volume.replaced.delete(layerId)
  volume.current = layerId
}

export function listLayers(world: FakeWorld, volumeId: VolumeId): readonly LayerInfo[] {
  const { layers, current, replaced, letGo } = layeredVolumeOf(world, volumeId)
  const needed = new Set(neededDisks(world, volumeId).map(({ layerId }) => layerId))
  return [...layers].map(([layerId, layer]) => ({
    layerId,
    ...layer,
    isCurrent: layerId === current,
    replacedAt: layerId === null ? null : (replaced.get(layerId) ?? null),
    isNeeded: needed.has(layerId),
    isLetGo: layerId !== null && letGo.has(layerId),
    isShared: isShared(world, layer),
  }))
}

export function layerPath(world: FakeWorld, volumeId: VolumeId, layerId: LayerId | null): string {
  layerOf(layeredVolumeOf(world, volumeId), layerId)
  return fakeLayerPath(volumeId, layerId)
}

export function removeLayer(world: FakeWorld, volumeId: VolumeId, layerId: LayerId): void {
  const volume = world.volumes.get(volumeId)
  if (volume?.layers.has(layerId) !== true) return
  const inUse = (reason: string) => new DialtoneError('in-use', `Layer ${layerId} is not removed: ${reason}`)
  if (volume.current === layerId) throw inUse('it is the current one')
  const needer = neederOf(world, volumeId, layerId)
  if (needer !== undefined) throw inUse(`${needer} needs it`)
  if ([...volume.layers.values()].some(({ on }) => on === layerId)) throw inUse('another one lies on it')
  const under = layerOf(volume, layerId).on
  const isSpent = volume.letGo.has(layerId) || volume.replaced.has(layerId)
  if (isSpent && under !== null && under !== undefined) volume.letGo.add(under)
  volume.layers.delete(layerId)
  volume.letGo.delete(layerId)
}

/** The header that the hypervisor rewrites is this entry: here it is written by the call. */
export function layerMerged(
  world: FakeWorld,
  volumeId: VolumeId,
  { layerId, on }: { readonly layerId: LayerId; readonly on: LayerId | null },
): void {
  const volume = layeredVolumeOf(world, volumeId)
  const layer = layerOf(volume, layerId)
  const under = new Set<LayerId | null | undefined>()
  for (let next = layer.on; next !== undefined; next = volume.layers.get(next)?.on) under.add(next)
  if (!under.has(on)) throw new DialtoneError('wrong-state', `Layer ${layerId} does not lie on ${on}`)
  layer.on = on
}

export function publishBase(
  world: FakeWorld,
  { volumeId, layerId }: { readonly volumeId: VolumeId; readonly layerId: LayerId | null },
  version: string,
): void {
  if (world.bases.has(version)) return
  const volume = layeredVolumeOf(world, volumeId)
  layerOf(volume, layerId)
  world.bases.set(version, volume.request.base?.version)
}

export function removeBase(world: FakeWorld, version: string): void {
  const volume = [...world.volumes.values()].find(({ request }) => request.base?.version === version)
  const base = [...world.bases].find(([, under]) => under === version)
  const user = volume?.request.volumeId ?? base?.[0]
  if (user !== undefined) throw new DialtoneError('in-use', `The base ${version} is not removed: ${user} lies on it`)
  world.bases.delete(version)
}

/** A volume on a template lies on one file more. */
function lengthOf(volume: FakeVolume, top: LayerId | null): number {
  let length = volume.request.base === undefined ? 0 : 1
  for (let id: LayerId | null | undefined = top; id !== undefined; id = layerOf(volume, id).on) length += 1
  return length
}
