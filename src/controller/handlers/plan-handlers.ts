/** What would be done and why, and the reserve for failing hosts, over the API. */
import { judgeReserve } from '../../control/placement/judge-reserve.ts'
import { dumpCluster, type Planned } from '../../control/plan/dump-cluster.ts'
import { planCluster } from '../../control/plan/plan-cluster.ts'
import { commitAndSee, put, unchanged } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { planRoutes, ReserveView } from '../../model/api/plan-routes.ts'
import { isAnswering } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findHost } from './api-context.ts'

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
    async getPlan({ query }) {
      const { ifHostDies } = query
      const host = ifHostDies === undefined ? undefined : findHost(context, ifHostDies)
      return planCluster(await plannedNow(context), host === undefined ? {} : { ifHostDies: host.spec.id })
    },
    dumpCluster: async () => dumpCluster(await plannedNow(context)),
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

/** Without a host's word its history rests on what is usual. The state is read last: all of it is of one moment. */
async function plannedNow({ engine, agents }: ApiContext): Promise<Planned> {
  const { leader } = engine
  const hosts = [...leader.index.state().hosts.values()].filter(isAnswering)
  const inventories = await Promise.all(
    hosts.map(async ({ spec }) => {
      const inventory = await agents.inventory(spec).catch(() => undefined)
      return inventory === undefined ? [] : [[spec.id, inventory.statistics] as const]
    }),
  )
  const cluster = leader.index.state()
  return {
    // A copy: the index goes on while the answer is being written.
    cluster: { ...cluster, hosts: new Map(cluster.hosts), vms: new Map(cluster.vms) },
    questions: engine.questions(),
    statistics: new Map(inventories.flat()),
    takenAt: leader.clock.wallTime().toISOString(),
    revision: leader.index.revision(),
  }
}
