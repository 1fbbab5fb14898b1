/** All storages of a simulated world, and which volume is on which. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId, VolumeId } from '../../model/ids.ts'
import { volumeSpecSchema } from '../../model/storage.ts'
import { type VmSpec, vmSpecSchema } from '../../model/vm.ts'
import type { Observation } from '../observation.ts'
import type { SimulatedStorage } from './simulated-storage.ts'

export type Storages = {
  all(): readonly SimulatedStorage[]
  /** Throw for what there is not. */
  byId(id: StorageId): SimulatedStorage
  byName(name: string): SimulatedStorage
  /** Where the store says that this volume is. */
  of(volumeId: VolumeId): SimulatedStorage | undefined
  /** Whether its owner declared that a recovery may take this volume back to an earlier state. */
  mayLose(volumeId: VolumeId): boolean
  /** Learns of volumes and VMs as they are stored. */
  see(observation: Observation): void
}

export function createStorages(storages: readonly SimulatedStorage[]): Storages {
  const ofVolume = new Map<VolumeId, SimulatedStorage>()
  const losable = new Set<VolumeId>()
  const find = (what: string, isIt: (storage: SimulatedStorage) => boolean) => {
    const found = storages.find(isIt)
    if (found === undefined) throw new DialtoneError('not-found', `there is no storage ${what} in this world`)
    return found
  }
  const byId: Storages['byId'] = (id) => find(id, ({ spec }) => spec.id === id)
  return {
    all: () => storages,
    byId,
    byName: (name) => find(name, ({ spec }) => spec.name === name),
    of: (volumeId) => ofVolume.get(volumeId),
    mayLose: (volumeId) => losable.has(volumeId),
    see(observation) {
      if (observation.kind !== 'committed') return
      for (const change of observation.changeSet.changes) {
        if (change.kind !== 'put') continue
        const { key, value } = change.entry
        if (key.startsWith('volume/')) {
          const { id, storageId } = volumeSpecSchema.parse(JSON.parse(value))
          ofVolume.set(id, byId(storageId))
        }
        if (key.startsWith('vm/') && key.endsWith('/spec'))
          for (const volumeId of losableOf(vmSpecSchema.parse(JSON.parse(value)))) losable.add(volumeId)
      }
    },
  }
}

/** Warm: the root disk returns to its image. Checkpoint: all of them do. */
function losableOf({ recovery, disks }: VmSpec): readonly VolumeId[] {
  const ids = disks.map(({ volumeId }) => volumeId)
  return recovery.mode === 'boot' ? [] : recovery.mode === 'warm' ? ids.slice(0, 1) : ids
}
