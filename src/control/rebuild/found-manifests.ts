/** The manifests that storages hold, machine by machine: which one is true, and what else was found of it. Pure. */
import type { StorageId, VmId, VolumeId } from '../../model/ids.ts'
import type { Testimony, VolumeContents } from '../../model/rebuild/testimony.ts'
import { compareVersions, type VmManifest } from '../../model/rebuild/vm-manifest.ts'
import type { StorageSpec } from '../../model/storage.ts'

/** What lies in one place. */
export type FoundVolume = { readonly storage: StorageSpec; readonly contents: VolumeContents }

/** What is known of one machine from beside its disks. */
export type FoundMachine = {
  /** The newest. */
  readonly manifest: VmManifest
  /** Where it was read. */
  readonly from: FoundVolume
  /** Another one of the same version says something else: nobody can tell which is true. */
  readonly isContradicted: boolean
  /** Places of older manifests. */
  readonly olderAt: readonly FoundVolume[]
  /** Places that hold a volume of it, wherever its disks should be. */
  readonly volumes: readonly FoundVolume[]
}

export function findMachines(testimony: Testimony): ReadonlyMap<VmId, FoundMachine> {
  const volumes = volumesOf(testimony)
  const byVm = new Map<VmId, FoundVolume[]>()
  for (const volume of volumes) {
    const vmId = volume.contents.manifest?.vm.id
    if (vmId !== undefined) byVm.set(vmId, [...(byVm.get(vmId) ?? []), volume])
  }
  const machines = new Map<VmId, FoundMachine>()
  for (const [vmId, found] of byVm) {
    const machine = choose(found, volumes)
    if (machine !== undefined) machines.set(vmId, machine)
  }
  return machines
}

export function volumesOf({ storages }: Testimony): readonly FoundVolume[] {
  return storages.flatMap(({ storage, volumes }) => volumes.map((contents) => ({ storage, contents })))
}

export function isAt({ storage, contents }: FoundVolume, volumeId: VolumeId, storageId: StorageId): boolean {
  return contents.volumeId === volumeId && storage.id === storageId
}

export function placeName({ storage, contents }: FoundVolume): string {
  return `${storage.name}/${contents.volumeId}`
}

function choose(found: readonly FoundVolume[], volumes: readonly FoundVolume[]): FoundMachine | undefined {
  const manifests = found
    .flatMap((from) => (from.contents.manifest === null ? [] : [{ from, manifest: from.contents.manifest }]))
    .toSorted((left, right) => compareVersions(right.manifest.version, left.manifest.version))
  const [newest] = manifests
  if (newest === undefined) return undefined
  const { manifest, from } = newest
  const same = manifests.filter((one) => compareVersions(one.manifest.version, manifest.version) === 0)
  const volumeIds = new Set(manifest.vm.disks.map(({ volumeId }) => volumeId))
  return {
    manifest,
    from,
    isContradicted: same.some((one) => JSON.stringify(one.manifest) !== JSON.stringify(manifest)),
    olderAt: manifests.slice(same.length).map((one) => one.from),
    volumes: volumes.filter(({ contents }) => volumeIds.has(contents.volumeId)),
  }
}
