/** The agent's side of manifests: writes them beside volumes, and tells what lies on a storage. */
import type { AgentContract } from '../model/agent-protocol/agent-contract.ts'
import type { manifestOrders as rows } from '../model/agent-protocol/manifest-orders.ts'
import type { VolumeId } from '../model/ids.ts'
import type { VolumeContents } from '../model/rebuild/testimony.ts'
import type { Handlers } from '../transport/mount-contract.ts'
import type { HostStorages } from './host-storages.ts'
import type { MachineRoom } from './machines/machine-room.ts'
import type { Storage } from './storage/storage.ts'

export function manifestOrders(
  room: Pick<MachineRoom, 'checkAuthority'>,
  storages: Pick<HostStorages, 'storage'>,
): Pick<Handlers<AgentContract>, keyof typeof rows> {
  return {
    async writeManifest({ params, body }) {
      room.checkAuthority(body.authority)
      const newest = await storages.storage(body.storageId).writeManifest(params.volumeId, body.manifest)
      return { newest }
    },
    async storageContents({ params }) {
      const storage = storages.storage(params.storageId)
      const volumes: VolumeContents[] = []
      for (const volumeId of await storage.listVolumes()) volumes.push(await contentsOf(storage, volumeId))
      return { volumes }
    },
  }
}

/** What can't be read of one volume keeps nobody from hearing of the others. */
async function contentsOf(storage: Storage, volumeId: VolumeId): Promise<VolumeContents> {
  try {
    return {
      volumeId,
      manifest: (await storage.readManifest(volumeId)) ?? null,
      claim: (await storage.readClaim(volumeId)) ?? null,
      snapshots: [...(await storage.listSnapshots(volumeId))],
      error: null,
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { volumeId, manifest: null, claim: null, snapshots: [], error: why }
  }
}
