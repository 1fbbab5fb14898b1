/** The leader's orders about snapshots. */
import type { AgentContract } from '../../model/agent-protocol/agent-contract.ts'
import type { snapshotOrders as orders } from '../../model/agent-protocol/snapshot-orders.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { MachineRoom } from '../machines/machine-room.ts'
import { layeredDisksOf } from '../recovery/tidy-layers.ts'
import { type ClosedPorts, revertClosedDisks, snapshotClosedDisks, tidyClosedDisks } from './closed-disks.ts'
import { removeSnapshot } from './snapshot-files.ts'

export function snapshotOrders(
  room: MachineRoom,
  ports: ClosedPorts,
): Pick<Handlers<AgentContract>, keyof typeof orders> {
  const refuseHeld = (vmId: Parameters<MachineRoom['keeper']>[0]) => {
    if (room.keeper(vmId)?.running() !== undefined)
      throw new DialtoneError('in-use', `${vmId} has a process on ${ports.hostName}: its disks are not closed`)
  }
  return {
    snapshotMachine: ({ params, body }) => room.keeperFor(params.vmId, body).takeSnapshot(body.wish, body.waitMs),
    holdMachine: async ({ params, body }) => ({ isHeld: await room.keeperFor(params.vmId, body).hold(body.forMs) }),
    async snapshotDisks({ body }) {
      room.checkAuthority(body.authority)
      refuseHeld(body.machine.vmId)
      return { snapshot: await snapshotClosedDisks(body, body.wish, ports) }
    },
    async removeSnapshot({ body }) {
      room.checkAuthority(body.authority)
      await room.keeper(body.snapshot.vmId)?.endSnapshot(body.snapshot.id)
      await removeSnapshot(body.snapshot, ports)
      return {}
    },
    tidyMachine: ({ params, body }) => room.keeperFor(params.vmId, body).tidy(body),
    async tidyDisks({ params, body }) {
      room.checkAuthority(body.authority)
      refuseHeld(params.vmId)
      await tidyClosedDisks(body, ports)
      return {}
    },
    revertMachine: ({ params, body }) =>
      room.keeperFor(params.vmId, body).revert({
        taskId: params.taskId,
        snapshot: body.snapshot,
        isPlanned: body.isPlanned,
      }),
    async revertDisks({ params, body }) {
      room.checkAuthority(body.authority)
      refuseHeld(params.vmId)
      await revertClosedDisks(body, body.snapshot, ports)
      return {}
    },
    async measureMachine({ params, body }) {
      const { machine } = room.keeperFor(params.vmId, body).record()
      return { writtenMiB: await writtenMiB(machine, ports) }
    },
    async runInGuest({ params, body }) {
      const machine = room.keeperFor(params.vmId, body).running()
      if (machine === undefined)
        throw new DialtoneError('wrong-state', `${params.vmId} has no process on ${ports.hostName}`)
      return machine.runInGuest(body.command, body.timeoutMs)
    },
  }
}

/** What the layers hold that its disks are written to now. */
async function writtenMiB(machine: MachineOrder, { storage }: ClosedPorts): Promise<number> {
  let bytes = 0
  for (const { storageId, volumeId } of layeredDisksOf(machine)) {
    const layers = await storage(storageId).listLayers(volumeId)
    bytes += layers.find(({ isCurrent }) => isCurrent)?.usedBytes ?? 0
  }
  return Math.round(bytes / 2 ** 20)
}
