/** Snapshots of the storage in memory, and the layers that they leave. */
import { isDeepStrictEqual } from 'node:util'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { LayerId, VolumeId } from '../../../model/ids.ts'
import { type Snapshot, snapshotSchema } from '../../../model/snapshots/snapshot.ts'
import type { ClosedMerge, SnapshotStorage } from '../snapshot-storage.ts'
import { type FakeVolume, type FakeWorld, fakeLayerPath, layeredVolumeOf, layerOf, volumeOf } from './fake-world.ts'

export function createSnapshotCalls(
  world: FakeWorld,
  call: <T>(effect: () => T | Promise<T>) => Promise<T>,
  refuseOpen: (path: string) => void,
): SnapshotStorage {
  return {
    storeSnapshot: (volumeId, snapshot) => call(() => storeSnapshot(world, volumeId, snapshot)),
    listSnapshots: (volumeId) =>
      call(() =>
        [...(world.volumes.get(volumeId)?.snapshots.values() ?? [])].sort(
          (left, right) => Date.parse(left.takenAt) - Date.parse(right.takenAt),
        ),
      ),
    keepGuestState: (volumeId, snapshotId) =>
      call(() => {
        const { keptGuestStates, guestState } = volumeOf(world, volumeId)
        keptGuestStates.set(snapshotId, guestState)
      }),
    restoreGuestState: (volumeId, snapshotId) =>
      call(() => {
        const volume = volumeOf(world, volumeId)
        const kept = volume.keptGuestStates.get(snapshotId)
        if (kept === undefined)
          throw new DialtoneError('not-found', `What firmware and TPM remembered at ${snapshotId} is not there`)
        volume.guestState = kept
      }),
    removeSnapshot: (volumeId, snapshotId) =>
      call(() => {
        const { snapshots, keptGuestStates } = world.volumes.get(volumeId) ?? {}
        keptGuestStates?.delete(snapshotId)
        for (const disk of snapshots?.get(snapshotId)?.disks ?? []) letGo(world, disk.volumeId, [disk.layerId])
        snapshots?.delete(snapshotId)
      }),
    letGoOfLayers: (volumeId, layerIds) => call(() => letGo(world, volumeId, layerIds)),
    mergeClosedLayers: (volumeId, merge) =>
      call(() => {
        const volume = layeredVolumeOf(world, volumeId)
        const between = layersBetween(volume, merge)
        if (between.length === 0) return
        refuseOpen(fakeLayerPath(volumeId, merge.into))
        letGo(world, volumeId, between)
        // Another file: whoever shares the old one goes on with that.
        volume.layers.set(merge.into, { ...layerOf(volume, merge.into), on: merge.on })
      }),
  }
}

function storeSnapshot(world: FakeWorld, volumeId: VolumeId, given: Snapshot): void {
  const snapshot = snapshotSchema.parse(given)
  const { snapshots } = volumeOf(world, volumeId)
  const present = snapshots.get(snapshot.id)
  if (present !== undefined) {
    if (isDeepStrictEqual(present, snapshot)) return
    throw new DialtoneError('wrong-state', `Snapshot ${snapshot.id} exists already and is another`)
  }
  for (const disk of snapshot.disks) {
    const volume = world.volumes.get(disk.volumeId)
    if (volume === undefined) continue
    layerOf(volume, disk.layerId)
    if (volume.current === disk.layerId)
      throw new DialtoneError('wrong-state', `Volume ${disk.volumeId} still writes to its layer`)
  }
  snapshots.set(snapshot.id, snapshot)
}

function letGo(world: FakeWorld, volumeId: VolumeId, layerIds: readonly (LayerId | null)[]): void {
  const volume = world.volumes.get(volumeId)
  for (const layerId of layerIds) if (layerId !== null && volume?.layers.has(layerId)) volume.letGo.add(layerId)
}

function layersBetween(volume: FakeVolume, { into, on }: ClosedMerge): readonly LayerId[] {
  const between: LayerId[] = []
  for (let under = layerOf(volume, into).on; under !== undefined; under = layerOf(volume, under).on) {
    if (under === on) return between
    if (under !== null) between.push(under)
  }
  throw new DialtoneError('wrong-state', `Layer ${into} does not lie on ${on ?? 'the first layer'}`)
}
