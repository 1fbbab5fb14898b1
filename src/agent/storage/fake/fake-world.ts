/** What a storage in memory holds, whichever host looks at it. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { ImageId, LayerId, SnapshotId, VolumeId } from '../../../model/ids.ts'
import type { VmManifest } from '../../../model/rebuild/vm-manifest.ts'
import type { ImageFileName, MemoryImageManifest } from '../../../model/recovery/memory-image.ts'
import type { Snapshot } from '../../../model/snapshots/snapshot.ts'
import type { Ownership, VolumeRequest } from '../storage.ts'

/** Files of the hosts, outside of the storage: what images are stored from and fetched into. */
export type FakeFiles = {
  read(path: string): Promise<Uint8Array>
  write(path: string, content: Uint8Array): Promise<void>
  remove(path: string): Promise<void>
}

export type FakeLayer = { on: LayerId | null | undefined; usedBytes: number; modifiedAt: Date }

export type FakeImage = {
  readonly manifest: MemoryImageManifest
  readonly contents: Map<ImageFileName, Uint8Array>
}

export type FakeVolume = {
  readonly request: VolumeRequest
  readonly claims: Ownership[]
  readonly layers: Map<LayerId | null, FakeLayer>
  current: LayerId | null
  /** Layers that were current before, with the time. */
  readonly replaced: Map<LayerId, Date>
  readonly images: Map<ImageId, FakeImage>
  /** Those that lie beside it. */
  readonly snapshots: Map<SnapshotId, Snapshot>
  readonly letGo: Set<LayerId>
  /** What firmware and TPM remember, as a word; and what they did at snapshots. */
  guestState: string
  readonly keptGuestStates: Map<SnapshotId, string>
  manifest: VmManifest | undefined
}

export type FakeWorld = {
  readonly volumes: Map<VolumeId, FakeVolume>
  readonly slots: Map<number, string>
  readonly torn: Set<number>
  /** Versions of the bases that are on the storage, with what they lie on. */
  readonly bases: Map<string, string | undefined>
  readonly totalMiB: number
  readonly files: FakeFiles
  readonly now: () => Date
}

/** Small files of this machine: what a fake hypervisor writes. */
export const filesOfThisMachine: FakeFiles = {
  read: (path) => readFile(path),
  write: (path, content) => writeFile(path, content),
  remove: (path) => rm(path, { force: true }),
}

export function volumeOf(world: FakeWorld, volumeId: VolumeId): FakeVolume {
  const volume = world.volumes.get(volumeId)
  if (volume === undefined) throw new DialtoneError('not-found', `There is no volume ${volumeId}`)
  return volume
}

export function layeredVolumeOf(world: FakeWorld, volumeId: VolumeId): FakeVolume {
  const volume = volumeOf(world, volumeId)
  if (volume.request.format === 'qcow2') return volume
  throw new DialtoneError('invalid-input', `Volume ${volumeId} is not qcow2: it has no layers`)
}

/** Volumes that share a layer have the same one. */
export function isShared({ volumes }: FakeWorld, layer: FakeLayer): boolean {
  return [...volumes.values()].filter(({ layers }) => [...layers.values()].includes(layer)).length > 1
}

export function layerOf(volume: FakeVolume, layerId: LayerId | null): FakeLayer {
  const layer = volume.layers.get(layerId)
  if (layer !== undefined) return layer
  throw new DialtoneError('not-found', `Volume ${volume.request.volumeId} has no layer ${layerId}`)
}

/** An image or a snapshot that needs this layer, or one that lies on it. */
export function neederOf(
  world: FakeWorld,
  volumeId: VolumeId,
  layerId: LayerId | null,
): ImageId | SnapshotId | undefined {
  const { layers } = volumeOf(world, volumeId)
  const liesOnIt = (top: LayerId | null) => {
    let next: LayerId | null | undefined = top
    while (next !== layerId && next !== undefined) next = layers.get(next)?.on
    return next === layerId
  }
  return neededDisks(world, volumeId).find((disk) => liesOnIt(disk.layerId))?.id
}

/** Every layer of this volume that an image or a snapshot needs, with which one it is. */
export function neededDisks(
  world: FakeWorld,
  volumeId: VolumeId,
): readonly { readonly id: ImageId | SnapshotId; readonly layerId: LayerId | null }[] {
  const needers = [...world.volumes.values()].flatMap(({ images, snapshots }) => [
    ...[...images.values()].map(({ manifest }) => manifest),
    ...snapshots.values(),
  ])
  return needers.flatMap(({ id, disks }) =>
    disks.filter((disk) => disk.volumeId === volumeId).map(({ layerId }) => ({ id, layerId })),
  )
}

export function fakeLayerPath(volumeId: VolumeId, layerId: LayerId | null): string {
  return `/fake-storage/volumes/${volumeId}/${layerId ?? 'disk'}.qcow2`
}
