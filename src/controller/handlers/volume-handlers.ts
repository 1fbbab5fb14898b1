/** Volumes over the API: what can't be done is refused at once; a task does the rest. */
import { admitVolumeMove } from '../../control/admit-volume-move.ts'
import { commitAndSee } from '../../engine/leader.ts'
import type { VolumeView } from '../../model/api/views.ts'
import type { volumeRoutes } from '../../model/api/volume-routes.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageSpec, VolumeSpec } from '../../model/storage.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, viewOfTask } from './api-context.ts'

export function volumeHandlers({ engine }: ApiContext): Handlers<typeof volumeRoutes> {
  const { leader, tasks } = engine
  return {
    listVolumes() {
      const state = leader.index.state()
      const volumes = [...state.volumes.values()].map((volume) => viewOfVolume(state, volume))
      return { volumes: volumes.toSorted((one, other) => one.name.localeCompare(other.name)) }
    },
    async moveVolume({ params, body }, caller) {
      const state = leader.index.state()
      const { volume, vm } = findVolume(state, params.volume)
      const to = findStorage(state, vm, body.storage)
      const verdict = admitVolumeMove(state, { vm, volume, to })
      if (verdict.kind === 'refused') throw new DialtoneError(verdict.code, verdict.message)
      const { task, write } = tasks.prepare({
        kind: 'volume.move',
        subject: viewOfVolume(state, volume).name,
        user: caller.name,
        vmId: vm.spec.id,
        journal: { volumeId: volume.id, toStorageId: to.id },
      })
      await commitAndSee(leader, { conditions: [], writes: [write] })
      tasks.begin(task.id)
      return { volume: viewOfVolume(state, volume), task: viewOfTask(task) }
    },
  }
}

/** The volume as the API shows it, under the name that people use: `web:0`. */
export function viewOfVolume({ vms, storages }: ClusterState, volume: VolumeSpec): VolumeView {
  const spec = vms.get(volume.vmId)?.spec
  const index = spec?.disks.findIndex(({ volumeId }) => volumeId === volume.id) ?? -1
  const storage = storages.get(volume.storageId)
  return {
    ...volume,
    name: spec === undefined || index < 0 ? volume.id : `${spec.name}:${index}`,
    vmName: spec?.name ?? null,
    storageName: storage?.name ?? volume.storageId,
  }
}

function findVolume(state: ClusterState, reference: string): { readonly volume: VolumeSpec; readonly vm: VmRecord } {
  const volume = [...state.volumes.values()].find(
    (one) => one.id === reference || viewOfVolume(state, one).name === reference,
  )
  const vm = volume === undefined ? undefined : state.vms.get(volume.vmId)
  if (volume === undefined || vm === undefined) throw new DialtoneError('not-found', `there is no volume ${reference}`)
  return { volume, vm }
}

/** Local storages of several hosts may have one name: the one of the machine's own host is meant. */
function findStorage({ storages }: ClusterState, { spec, placement }: VmRecord, reference: string): StorageSpec {
  const named = [...storages.values()].filter(({ id, name }) => id === reference || name === reference)
  const home = spec.boundToHostId ?? placement?.hostId ?? null
  const found = named.find(({ hostId }) => hostId === home) ?? named[0]
  if (found === undefined) throw new DialtoneError('not-found', `there is no storage ${reference}`)
  return found
}
