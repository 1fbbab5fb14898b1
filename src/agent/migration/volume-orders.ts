/** The orders of a volume that moves between two storages of this host: checked for their authority, then carried out. */
import type { AgentContract } from '../../model/agent-protocol/agent-contract.ts'
import type { volumeOrders as rows } from '../../model/agent-protocol/volume-orders.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { HostStorages } from '../host-storages.ts'
import type { MachineCgroups } from '../machines/machine-ports.ts'
import type { MachineRoom } from '../machines/machine-room.ts'
import { userIdOfNumber } from '../recovery/machine-shape.ts'
import { copyDisk } from '../storage/copy-volume.ts'

/** A disk of many gigabytes on a slow storage. */
const copyTimeoutMs = 4 * 3_600_000

export type VolumeOrderParts = {
  readonly room: MachineRoom
  readonly storages: HostStorages
  readonly ports: { readonly cgroups: MachineCgroups }
}

export function volumeOrders({
  room,
  storages,
  ports,
}: VolumeOrderParts): Pick<Handlers<AgentContract>, keyof typeof rows> {
  return {
    mirrorVolume: ({ params: { vmId, volumeId }, body }) => {
      const { toStorageId, isOnSameBase } = body
      return room.keeperFor(vmId, body).mirrorVolume({ volumeId, toStorageId, isOnSameBase })
    },
    async holdVolume({ params: { vmId, volumeId }, body }) {
      await room.keeperFor(vmId, body).holdVolume({ volumeId, toStorageId: body.toStorageId })
      return {}
    },
    async switchVolume({ params: { vmId, volumeId }, body }) {
      await room.keeperFor(vmId, body).switchVolume({ volumeId, toStorageId: body.toStorageId })
      return {}
    },
    async keepVolume({ params: { vmId, volumeId }, body }) {
      await room.keeperFor(vmId, body).keepVolume({ volumeId, toStorageId: body.toStorageId })
      return {}
    },
    async copyVolume({ params: { volumeId }, body }) {
      room.checkAuthority(body.authority)
      const { format, fromStorageId, toStorageId, number, isOnSameBase } = body
      const [from, to] = [storages.storage(fromStorageId), storages.storage(toStorageId)]
      const userId = userIdOfNumber(number)
      const source = await from.openVolume(volumeId, format, userId)
      const target = await to.openVolume(volumeId, format, userId)
      const isOneLayer = format === 'qcow2' && (await from.listLayers(volumeId)).length === 1
      await copyDisk({
        from: source.path,
        to: target.path,
        format,
        isTopLayerOnly: isOnSameBase && isOneLayer,
        cgroupDirectory: await ports.cgroups.makeForTools(),
        timeoutMs: copyTimeoutMs,
      })
      return {}
    },
  }
}
