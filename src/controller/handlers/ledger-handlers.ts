/** Outages and availability over the API: computed from the ledger's entries each time they are asked for. */
import { type Assembled, assembleOutages } from '../../control/ledger/assemble-outages.ts'
import { computeAvailability } from '../../control/ledger/availability.ts'
import type { ledgerRoutes, OutageView } from '../../model/api/ledger-routes.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Outage } from '../../model/ledger/outage.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm } from './api-context.ts'

export function ledgerHandlers(context: ApiContext): Handlers<typeof ledgerRoutes> {
  const { engine } = context
  const nowMs = () => engine.leader.clock.wallTime().getTime()
  const services = (reference: string | undefined): readonly VmRecord[] =>
    reference === undefined ? [...engine.leader.index.state().vms.values()] : [findVm(context, reference)]
  const historyOf = async ({ spec }: VmRecord): Promise<Assembled> =>
    assembleOutages(await engine.ledger.entries(spec.id), {
      service: spec.id,
      serviceName: spec.name,
      untilMs: nowMs(),
    })
  const outagesOf = async (reference: string | undefined) =>
    (await Promise.all(services(reference).map(historyOf)))
      .flatMap(({ outages }) => outages)
      .sort((left, right) => right.beganAt.localeCompare(left.beganAt))

  return {
    async getAvailability({ query }) {
      const untilMs = nowMs()
      const since = untilMs - query.lastSeconds * 1000
      const views = await Promise.all(
        services(query.service).map(async (vm) => {
          const history = await historyOf(vm)
          // Before its first entry there was nothing to be observed.
          const sinceMs = Math.max(since, history.intervals[0]?.fromMs ?? untilMs - 1)
          const availability = computeAvailability(history, { sinceMs, untilMs })
          return { service: vm.spec.id, serviceName: vm.spec.name, ...availability }
        }),
      )
      return { services: views }
    },
    async listOutages({ query }) {
      const since = new Date(nowMs() - query.lastSeconds * 1000).toISOString()
      const isWanted = ({ drillId, beganAt }: Outage) =>
        beganAt >= since &&
        (query.drill === undefined || drillId === query.drill) &&
        (query.drills === 'all' || (query.drills === 'only') === (drillId !== null))
      const outages = (await outagesOf(query.service)).filter(isWanted).slice(0, query.limit)
      return { outages: outages.map((outage) => viewOf(outage, nowMs())) }
    },
    listLedgerEntries: async ({ params }) => ({
      entries: [...(await engine.ledger.entries(findVm(context, params.service).spec.id))],
    }),
    async getOutage({ params }) {
      const outage = (await outagesOf(undefined)).find(({ id }) => id === params.outage)
      if (outage === undefined) throw new DialtoneError('not-found', `there is no outage ${params.outage}`)
      return viewOf(outage, nowMs())
    },
  }
}

function viewOf(outage: Outage, nowMs: number): OutageView {
  const isOver = outage.endedBy !== null
  return { ...outage, soFarMs: isOver ? null : Math.max(0, nowMs - Date.parse(outage.beganAt)) }
}
