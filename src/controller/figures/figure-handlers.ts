/** Figures over the API: as history, as they come in, and for Prometheus. */
import { Readable } from 'node:stream'
import { metricFamilies, writeMetrics } from '../../control/figures/metrics-text.ts'
import type { figureRoutes } from '../../model/api/figure-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers, RequestScope } from '../../transport/mount-contract.ts'
import { type ApiContext, findHost, findVm } from '../handlers/api-context.ts'
import { type FigureDesk, wholeCluster } from './figure-desk.ts'

export type FigureContext = { readonly figures: FigureDesk }

export function figureHandlers(context: ApiContext & FigureContext): Handlers<typeof figureRoutes> {
  const { figures, engine } = context
  const state = () => engine.leader.index.state()
  const viewOf = ({ id, name }: { readonly id: string; readonly name: string }) => {
    const point = figures.newest(id)
    return point === undefined ? [] : [{ id, name, ...point }]
  }
  return {
    listFigures: () => ({
      hosts: [...state().hosts.values()].flatMap(({ spec }) => viewOf(spec)),
      vms: [...state().vms.values()].flatMap(({ spec }) => viewOf(spec)),
    }),
    clusterFigures: ({ query }) => figures.history(wholeCluster, query.span),
    hostFigures: ({ params, query }) => figures.history(findHost(context, params.host).spec.id, query.span),
    vmFigures: ({ params, query }) => figures.history(findVm(context, params.vm).spec.id, query.span),
    watchFigures({ query: { vm, hosts } }, _caller, scope) {
      if (hosts) return follow(figures, () => [...state().hosts.keys()], scope)
      const subject = vm === undefined ? wholeCluster : findVm(context, vm).spec.id
      return follow(figures, () => [subject], scope)
    },
    metricTargets: ({ query }) =>
      [...state().vms.values()]
        .filter(({ status }) => status?.state === 'running')
        .map(({ spec, placement }) => ({
          targets: [`${spec.address}:${query.port}`],
          labels: {
            __meta_dialtone_vm: spec.name,
            __meta_dialtone_vm_id: spec.id,
            __meta_dialtone_host:
              placement === null || placement === undefined
                ? ''
                : (state().hosts.get(placement.hostId)?.spec.name ?? ''),
            __meta_dialtone_template: state().templates.get(spec.templateId)?.name ?? '',
          },
        })),
    metrics() {
      const text = writeMetrics(metricFamilies(state(), (id) => figures.newest(id)?.figures))
      return {
        size: Buffer.byteLength(text),
        type: 'text/plain; version=0.0.4; charset=utf-8',
        stream: Readable.from([text]),
      }
    },
  }
}

async function* follow(figures: FigureDesk, subjects: () => readonly string[], { after, signal }: RequestScope) {
  const afterMs = after === undefined ? undefined : Number(after)
  if (afterMs !== undefined && !Number.isSafeInteger(afterMs))
    throw new DialtoneError('invalid-input', `${after} is not a time`)
  for await (const news of figures.watch(subjects, { afterMs, signal })) yield { id: news.atMs, data: news }
}
