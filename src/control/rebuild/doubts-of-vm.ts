/** What is doubtful about one VM that is entered from its manifest. Pure. */
import type { ClusterState } from '../../model/cluster-state.ts'
import type { VmEntry } from '../../model/rebuild/rebuild-plan.ts'
import type { Testimony } from '../../model/rebuild/testimony.ts'
import { type FoundMachine, isAt, placeName } from './found-manifests.ts'

export function doubtsOf(
  cluster: ClusterState,
  machine: FoundMachine,
  { testimony, entry }: { readonly testimony: Testimony; readonly entry: VmEntry },
): readonly string[] {
  const { manifest, olderAt, volumes } = machine
  const { vm, withheld } = manifest
  const isTemplateKnown = [...cluster.templates.values()].some(({ version }) => version === vm.templateVersion)
  const unknownDiscs = vm.cdroms.flatMap((isoId) => (isoId === null || cluster.isos.has(isoId) ? [] : [isoId]))
  return [
    ...missingDisks(machine, testimony),
    ...olderAt.map((place) => `an older manifest of it lies at ${placeName(place)}, and is not used`),
    ...volumes
      .filter(({ storage, contents }) => !isItsPlace(machine, contents.volumeId, storage.id))
      .map((place) => `${placeName(place)} is a left-over of its disk, and is not touched`),
    ...withheld.map((what) => `its ${what} is in no manifest: give it anew with dialtone vm set, if it needs it again`),
    ...(isTemplateKnown
      ? []
      : [`its template ${vm.templateVersion} is not here: build or import it before you start it`]),
    ...unknownDiscs.map((isoId) => `the disc ${isoId} in its drive is not in the library`),
    ...manifest.volumes.flatMap(({ id, move }) => (move === null ? [] : [`its disk ${id} was being moved`])),
    ...(vm.membership !== undefined && entry.spec.membership === undefined
      ? [`it was ${vm.membership.component} of a service that is not here: it is a VM of its own now`]
      : []),
    ...(vm.basedOnSnapshotId !== entry.spec.basedOnSnapshotId
      ? [`the snapshot ${vm.basedOnSnapshotId ?? ''} that it descends from was not found`]
      : []),
  ]
}

function isItsPlace({ manifest }: FoundMachine, volumeId: string, storageId: string): boolean {
  return manifest.vm.disks.some((disk) => disk.volumeId === volumeId && disk.storageId === storageId)
}

function missingDisks({ manifest, volumes }: FoundMachine, { storages }: Testimony): readonly string[] {
  return manifest.vm.disks.flatMap(({ volumeId, storageId }) => {
    if (volumes.some((one) => isAt(one, volumeId, storageId))) return []
    const storage = storages.find((one) => one.storage.id === storageId)?.storage
    return storage === undefined
      ? [`its disk ${volumeId} is on a storage that nobody could read`]
      : [`its disk ${volumeId} is missing on ${storage.name}`]
  })
}
