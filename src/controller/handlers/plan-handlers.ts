/** The reserve for failing hosts over the API. */
import { judgeReserve } from '../../control/placement/judge-reserve.ts'
import { commitAndSee, put, unchanged } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { planRoutes, ReserveView } from '../../model/api/plan-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import type { ApiContext } from './api-context.ts'

export function planHandlers(context: ApiContext): Handlers<typeof planRoutes> {
  const { leader } = context.engine
  const reserve = (): ReserveView => {
    const state = leader.index.state()
    const verdict = judgeReserve(state)
    return {
      hostFailuresToTolerate: state.cluster.hostFailuresToTolerate,
      isKept: verdict.kind === 'kept',
      reason: verdict.kind === 'kept' ? '' : verdict.reason,
    }
  }
  return {
    getReserve: reserve,
    async setReserve({ body }, caller) {
      const { cluster } = leader.index.state()
      const { hostFailuresToTolerate } = body
      const event = leader.events.write({
        kind: 'cluster.reserve-set',
        subject: cluster.name,
        message: `${caller.name} wants ${hostFailuresToTolerate} failing hosts to be tolerated`,
        user: caller.name,
      })
      const result = await commitAndSee(leader, {
        conditions: [unchanged(leader, keys.cluster)],
        writes: [put(keys.cluster, { ...cluster, hostFailuresToTolerate }), event],
      })
      if (result.kind === 'conflict') throw new DialtoneError('conflict', 'the cluster was changed at the same time')
      return reserve()
    },
  }
}
