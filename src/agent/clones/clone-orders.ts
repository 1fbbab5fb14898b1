/** The leader's orders about disks that begin as copies of another machine's. */
import type { AgentContract } from '../../model/agent-protocol/agent-contract.ts'
import type { cloneOrders as orders } from '../../model/agent-protocol/clone-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { MachinePorts } from '../machines/machine-ports.ts'
import type { MachineRoom } from '../machines/machine-room.ts'
import type { FlattenWorks } from './flatten-works.ts'
import { linkDisks } from './link-disks.ts'

export function cloneOrders(
  room: MachineRoom,
  ports: Pick<MachinePorts, 'storage' | 'cgroups' | 'hostName'>,
  works: FlattenWorks,
): Pick<Handlers<AgentContract>, keyof typeof orders> {
  return {
    async linkMachineDisks({ params, body }) {
      await room.keeperFor(params.vmId, body).linkDisks(body)
      return {}
    },
    async linkDisks({ params, body }) {
      room.checkAuthority(body.authority)
      if (room.keeper(params.vmId)?.running() !== undefined)
        throw new DialtoneError('in-use', `${params.vmId} has a process on ${ports.hostName}: its disks are not closed`)
      await linkDisks(body, ports)
      return {}
    },
    flattenVolume({ params, body }) {
      room.checkAuthority(body.authority)
      return works.follow(params.volumeId, ports.storage(body.storageId), body.waitMs)
    },
    readVolume: ({ params, query }) => ports.storage(query.storageId).readVolume(params.volumeId),
  }
}
