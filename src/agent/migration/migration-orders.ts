/** The orders of a move: checked for their authority, then carried out; and the stream that the source opens. */
import type { AgentContract } from '../../model/agent-protocol/agent-contract.ts'
import type { NeighbourContract, migrationOrders as rows } from '../../model/agent-protocol/migration-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { MachineRoom } from '../machines/machine-room.ts'

export function migrationOrders(room: MachineRoom): Pick<Handlers<AgentContract>, keyof typeof rows> {
  return {
    prepareDeparture: ({ params, body }) => room.keeperFor(params.vmId, body).prepareDeparture(),
    depart: ({ params, body }) => room.keeperFor(params.vmId, body).depart(body),
    followDeparture: ({ params, body }) => room.keeperFor(params.vmId, body).followDeparture(body.waitMs),
    async abandonDeparture({ params, body }) {
      await room.keeperFor(params.vmId, body).abandonDeparture(body.isAloneHere)
      return {}
    },
    async expectArrival({ body }) {
      await room.expectArrival(body)
      return {}
    },
    completeArrival: async ({ params, body }) => ({
      resumedAtMs: await room.keeperFor(params.vmId, body).completeArrival(),
    }),
  }
}

export function neighbourHandlers(room: MachineRoom): Handlers<NeighbourContract> {
  return {
    async machineStream({ params }, caller) {
      const keeper = room.keeper(params.vmId)
      if (keeper === undefined) throw new DialtoneError('not-found', `${params.vmId} is not expected here`)
      return keeper.takeStream(caller.hostId)
    },
    async diskStream({ params: { vmId, volumeId } }, caller) {
      const keeper = room.keeper(vmId)
      if (keeper === undefined) throw new DialtoneError('not-found', `${vmId} is not expected here`)
      return keeper.takeDiskStream({ callerId: caller.hostId, volumeId })
    },
  }
}
