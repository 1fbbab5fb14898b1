/** What lies on the fake hosts' storages: which volume is where, and how new its content is. A machine on anything but the newest is noticed. */
import type { DiskClaim } from '../model/agent-protocol/agent-contract.ts'
import { type StorageId, type VolumeId, volumeIdSchema } from '../model/ids.ts'
import type { MachineOrder } from '../model/machine-order.ts'
import { compareVersions, type ManifestVersion, type VmManifest } from '../model/rebuild/vm-manifest.ts'

type Place = { readonly volumeId: VolumeId; readonly storageId: StorageId }

export type FakeDisks = {
  /** In sentences: machines that ran without their disk, on an old one, or had it deleted beneath them. Has to stay empty. */
  readonly troubles: string[]
  volumeIds(): ReadonlySet<VolumeId>
  /** `storage volume`, sorted. */
  places(): readonly string[]
  /** Empty, unless it is there. */
  create(place: Place): void
  /** `writers`: machines that run with this volume. */
  remove(place: Place, writers: readonly MachineOrder[]): void
  /** The machine runs under this epoch: what it writes is on its disks, with its claim beside it. */
  write(order: MachineOrder, epoch: number): void
  claimsOn(storageId: StorageId): readonly DiskClaim[]
  /** Beside the volume, wherever that is; the newest that was ever written there. */
  readonly manifests: ReadonlyMap<VolumeId, VmManifest>
  keepManifest(volumeId: VolumeId, manifest: VmManifest): ManifestVersion
  /** All that it has on one storage it has on the other, too. */
  copy(volumeId: VolumeId, from: StorageId, to: StorageId): void
}

export function createFakeDisks(): FakeDisks {
  const writesOn = new Map<string, number>()
  const claims = new Map<string, DiskClaim>()
  const troubles: string[] = []
  const manifests = new Map<VolumeId, VmManifest>()
  const keyOf = ({ volumeId, storageId }: Place) => `${storageId} ${volumeId}`
  const newest = (volumeId: VolumeId) =>
    Math.max(0, ...[...writesOn].filter(([key]) => key.endsWith(volumeId)).map(([, writes]) => writes))
  return {
    troubles,
    manifests,
    keepManifest(volumeId, manifest) {
      const newest = manifests.get(volumeId)?.version
      if (newest !== undefined && compareVersions(newest, manifest.version) > 0) return newest
      manifests.set(volumeId, manifest)
      return manifest.version
    },
    volumeIds: () => new Set([...writesOn.keys()].map((key) => volumeIdSchema.parse(key.split(' ')[1]))),
    places: () => [...writesOn.keys()].toSorted(),
    create: (place) => void writesOn.set(keyOf(place), writesOn.get(keyOf(place)) ?? 0),
    remove(place, writers) {
      const onIt = writers.filter(({ disks }) => disks.some((disk) => keyOf(disk) === keyOf(place)))
      for (const { name } of onIt) troubles.push(`${keyOf(place)} is deleted beneath ${name}`)
      writesOn.delete(keyOf(place))
      claims.delete(keyOf(place))
    },
    write({ vmId, name, disks }, epoch) {
      for (const disk of disks) {
        const { volumeId, storageId } = disk
        claims.set(keyOf(disk), { vmId, epoch, volumeId, storageId })
        const writes = writesOn.get(keyOf(disk))
        if (writes === undefined) troubles.push(`${name} runs, and there is no ${keyOf(disk)}`)
        else if (writes < newest(disk.volumeId)) troubles.push(`${name} runs on an old ${keyOf(disk)}`)
        else writesOn.set(keyOf(disk), writes + 1)
      }
    },
    claimsOn: (storageId) => [...claims.values()].filter((claim) => claim.storageId === storageId),
    copy(volumeId, from, to) {
      const [source, copy] = [from, to].map((storageId) => keyOf({ volumeId, storageId }))
      if (source === undefined || copy === undefined || !writesOn.has(copy))
        troubles.push(`${volumeId} is copied to nowhere`)
      else writesOn.set(copy, writesOn.get(source) ?? 0)
    },
  }
}
