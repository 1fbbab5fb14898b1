/** The storages that this host has, as the cluster's configuration names them, and the reading of its slots on the shared ones. */
import type { AgentConfiguration } from '../model/agent-protocol/heartbeat.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { StorageId } from '../model/ids.ts'
import type { AgentPorts } from './agent-ports.ts'
import type { LicenceKeeper } from './protection/licence-keeper.ts'
import { readSlots, type SlotReader } from './protection/read-slots.ts'
import type { Storage } from './storage/storage.ts'

export type HostStorages = {
  /** Takes in a configuration: opens what is new, and reads the slots that it names from now on. */
  configure(configuration: AgentConfiguration): void
  configuration(): AgentConfiguration | undefined
  /** Throws `storage-failed` when this host doesn't have it. */
  storage(storageId: StorageId): Storage
  isShared(storageId: StorageId): boolean
  /** This host's slot on it. */
  slotOf(storageId: StorageId): number | undefined
  all(): readonly (readonly [StorageId, Storage])[]
  /** Age of the last good probe: of a shared one the newest read of its slot; null when there was none. */
  probeAgeMs(storageId: StorageId): number | null
  /** Looks how much is free on each; a storage that can't be looked at is not known. */
  measureRoom(): Promise<void>
  /** As it was when that was looked at last; null: not known. */
  freeMiB(storageId: StorageId): number | null
}

export function createHostStorages(ports: AgentPorts, licences: LicenceKeeper): HostStorages {
  const opened = new Map<StorageId, { readonly storage: Storage; readonly isShared: boolean }>()
  let configuration: AgentConfiguration | undefined
  let slots: SlotReader | undefined
  let slotsEnd = new AbortController()
  const room = new Map<StorageId, number>()
  const isShared = (storageId: StorageId) => opened.get(storageId)?.isShared === true

  return {
    configure(next) {
      const isKnown = saysOfStorages(next) === saysOfStorages(configuration)
      configuration = next
      // The reading of slots is not begun anew for what has nothing to do with it.
      if (isKnown) return
      licences.setTimings(next.timings)
      for (const entry of next.storages) {
        if (!opened.has(entry.storageId))
          opened.set(entry.storageId, { storage: ports.openStorage(entry), isShared: entry.shared })
      }
      slotsEnd.abort()
      slotsEnd = new AbortController()
      const watches = next.storages.flatMap(({ storageId, slot, shared }) => {
        const storage = opened.get(storageId)?.storage
        return shared && storage !== undefined ? [{ storageId, storage, slot }] : []
      })
      const signal = AbortSignal.any([slotsEnd.signal, ports.signal])
      slots = readSlots(watches, { clock: ports.clock, logger: ports.logger, licences, hostId: ports.hostId, signal })
    },
    configuration: () => configuration,
    storage(storageId) {
      const known = opened.get(storageId)
      if (known === undefined)
        throw new DialtoneError('storage-failed', `${ports.hostName} doesn't have the storage ${storageId}`)
      return known.storage
    },
    isShared,
    slotOf: (storageId) => configuration?.storages.find((entry) => entry.storageId === storageId)?.slot,
    all: () => [...opened].map(([storageId, { storage }]) => [storageId, storage] as const),
    async measureRoom() {
      for (const [storageId, { storage }] of opened) {
        const usage = await storage.usage().catch(() => undefined)
        if (usage === undefined) room.delete(storageId)
        else room.set(storageId, usage.freeMiB)
      }
    },
    freeMiB: (storageId) => room.get(storageId) ?? null,
    probeAgeMs: (storageId) => (isShared(storageId) ? (slots?.probeAgeMs(storageId) ?? null) : 0),
  }
}

function saysOfStorages(configuration: AgentConfiguration | undefined): string {
  return JSON.stringify([configuration?.storages, configuration?.timings])
}
