/** The leader's orders about recovery: how machines recover, what is kept ready for them, captures, drills. */
import type { AgentContract } from '../../model/agent-protocol/agent-contract.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { MachineRoom } from '../machines/machine-room.ts'

type RecoveryOrders = Pick<
  Handlers<AgentContract>,
  'configureMachine' | 'keepStandby' | 'dropStandby' | 'captureMachine' | 'recoverMachine' | 'injectFailure'
>

export function recoveryOrders(room: MachineRoom): RecoveryOrders {
  return {
    async configureMachine({ params, body }) {
      const keeper = room.keeperFor(params.vmId, body)
      await keeper.configure(body.machine)
      return { report: keeper.report() }
    },
    keepStandby({ params, body }) {
      room.checkAuthority(body.authority)
      if (room.keeper(params.vmId) === undefined) room.standbys.keep(body.machine, body.imageId)
      return {}
    },
    async dropStandby({ params, body }) {
      room.checkAuthority(body.authority)
      if (room.keeper(params.vmId) === undefined) await room.standbys.drop(params.vmId)
      return {}
    },
    async captureMachine({ params, body }) {
      const { id } = await room.keeperFor(params.vmId, body).capture(body.kind)
      return { imageId: id }
    },
    async recoverMachine({ params, body }) {
      await room.keeperFor(params.vmId, body).recover(body.rung)
      return {}
    },
    async injectFailure({ params, body }) {
      await room.keeperFor(params.vmId, body).injectFailure(body.failure)
      return {}
    },
  }
}
