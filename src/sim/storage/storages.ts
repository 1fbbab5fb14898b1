/** All storages of a simulated world, and which volume is on which. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StorageId, VolumeId } from '../../model/ids.ts'
import { volumeSpecSchema } from '../../model/storage.ts'
import type { Observation } from '../observation.ts'
import type { SimulatedStorage } from './simulated-storage.ts'

export type Storages = {
  all(): readonly SimulatedStorage[]
  /** Throw for what there is not. */
  byId(id: StorageId): SimulatedStorage
  byName(name: string): SimulatedStorage
  /** Where the store says that this volume is. */
  of(volumeId: VolumeId): SimulatedStorage | undefined
  /** Learns of volumes as they are stored. */
  see(observation: Observation): void
}

export function createStorages(storages: readonly SimulatedStorage[]): Storages {
  const ofVolume = new Map<VolumeId, SimulatedStorage>()
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
    see(observation) {
      if (observation.kind !== 'committed') return
      for (const change of observation.changeSet.changes) {
        if (change.kind !== 'put' || !change.entry.key.startsWith('volume/')) continue
        const { id, storageId } = volumeSpecSchema.parse(JSON.parse(change.entry.value))
        ofVolume.set(id, byId(storageId))
      }
    },
  }
}
