/** Volumes of the storage in memory that begin as copies of others. Those that share a layer have the same object. */
import { Readable } from 'node:stream'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { LayerId } from '../../../model/ids.ts'
import type { CloneStorage, LinkRequest } from '../clone-storage.ts'
import { type FakeLayer, type FakeWorld, layeredVolumeOf, layerOf, volumeOf } from './fake-world.ts'

export function createCloneCalls(
  world: FakeWorld,
  call: <T>(effect: () => T | Promise<T>) => Promise<T>,
  refuseOpen: (path: string) => void,
): CloneStorage {
  return {
    linkVolume: (request) => call(() => linkVolume(world, request)),
    flattenVolume: (volumeId, { begins, signal }) =>
      call(() => {
        const volume = layeredVolumeOf(world, volumeId)
        refuseOpen(`/fake-storage/volumes/${volumeId}/`)
        begins(async () => 0.5)
        signal.throwIfAborted()
        const usedBytes = [...volume.layers.values()].reduce((sum, layer) => sum + layer.usedBytes, 0)
        const { base: _shared, ...alone } = volume.request
        const layers = new Map<LayerId | null, FakeLayer>([
          [null, { on: undefined, usedBytes, modifiedAt: world.now() }],
        ])
        world.volumes.set(volumeId, { ...volume, request: alone, layers, current: null, letGo: new Set() })
      }),
    readVolume: (volumeId) =>
      call(() => {
        const { layers, request } = layeredVolumeOf(world, volumeId)
        refuseOpen(`/fake-storage/volumes/${volumeId}/`)
        if (layers.size > 1 || request.base !== undefined)
          throw new DialtoneError('wrong-state', `Volume ${volumeId} doesn't stand alone`)
        const content = Buffer.from(volumeId)
        return { size: content.length, stream: Readable.from([content]) }
      }),
  }
}

function linkVolume(world: FakeWorld, { volumeId, from, overlay }: LinkRequest): void {
  const present = world.volumes.get(volumeId)
  if (present?.layers.has(overlay) === true) return
  if (present !== undefined) throw new DialtoneError('wrong-state', `Volume ${volumeId} exists already and is another`)
  const source = layeredVolumeOf(world, from.volumeId)
  layerOf(source, from.layerId)
  if (source.current === from.layerId)
    throw new DialtoneError('wrong-state', `Volume ${from.volumeId} is still written to in that layer`)
  const layers = new Map<LayerId | null, FakeLayer>()
  for (let id: LayerId | null | undefined = from.layerId; id !== undefined; id = layerOf(source, id).on)
    layers.set(id, layerOf(source, id))
  const letGo = new Set([...layers.keys()].filter((layerId) => layerId !== null))
  layers.set(overlay, { on: from.layerId, usedBytes: 0, modifiedAt: world.now() })
  world.volumes.set(volumeId, {
    request: { ...source.request, volumeId },
    claims: [],
    layers,
    current: overlay,
    replaced: new Map(),
    images: new Map(),
    snapshots: new Map(),
    letGo,
    guestState:
      from.snapshotId === null ? '' : (volumeOf(world, from.volumeId).keptGuestStates.get(from.snapshotId) ?? ''),
    keptGuestStates: new Map(),
    manifest: undefined,
  })
}
