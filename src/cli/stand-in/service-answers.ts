/** What the stand-in controller answers about services: it has one, shop, of two components. */
import type { ServiceView, serviceRoutes } from '../../model/api/service-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { serviceIdSchema } from '../../model/ids.ts'
import { serviceFileSchema } from '../../model/service/service-file.ts'
import type { ServicePlan } from '../../model/service/service-plan.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { makeTaskView } from './views.ts'

const at = '2026-03-01T11:00:00.000Z'
const component = { template: 'tiny' }
const machine = { id: 'vm-aaaaaaaa', state: 'running', hostName: 'node1', address: '10.0.0.10', isServing: true }

export const shop: ServiceView = {
  id: serviceIdSchema.parse('svc-aaaaaaaa'),
  name: 'shop',
  file: serviceFileSchema.parse({
    service: 'shop',
    recoverWithin: '10s',
    components: { cache: component, worker: { ...component, replicas: 2, needs: ['cache'] } },
  }),
  lifecycle: 'live',
  createdAt: at,
  appliedAt: at,
  health: 'degraded',
  components: [
    {
      name: 'cache',
      replicas: 1,
      serving: 1,
      health: 'up',
      needs: [],
      machines: [{ ...machine, name: 'shop-cache-1' }],
    },
    {
      ...{ name: 'worker', replicas: 2, serving: 1, health: 'degraded', needs: ['cache'] },
      machines: [
        { ...machine, name: 'shop-worker-1' },
        { ...machine, name: 'shop-worker-2', state: 'failed', isServing: false },
      ],
    },
  ],
  tree: [{ name: 'with-worker', components: ['worker', 'cache'], groups: [] }],
  isTreeDerived: true,
  restarts: [
    {
      ...{ taskId: 'task-aaaaaaaa', at, cell: 'with-worker', components: ['cache', 'worker'], isCured: true },
      reason: 'worker failed for 4000 ms',
    },
  ],
  lessons: {},
}

const who = { component: 'worker', replica: 3 }
const plan: ServicePlan = {
  service: 'shop',
  isNew: false,
  steps: [
    { kind: 'create', ...who, vmName: 'shop-worker-3', reason: 'replica 3 of 3', wave: 1 },
    { kind: 'keep', ...who, vmName: 'shop-queue-1', reason: 'the file has no component queue any more' },
  ],
  warnings: ['when a whole host dies, cache may be away for longer than 10s'],
}

/** A file whose service is named `refused` is refused for its first component. */
export function makeServiceHandlers({ changes }: { readonly changes: string[] }): Handlers<typeof serviceRoutes> {
  const begin = (kind: string) => makeTaskView({ kind: `service.${kind}`, subject: 'shop' })
  return {
    listServices: () => ({ services: [shop] }),
    getService: () => shop,
    applyService: ({ body: { file, dryRun, prune } }) => {
      const path = ['components', Object.keys(file.components)[0] ?? '', 'template']
      if (file.service === 'refused')
        throw new DialtoneError('invalid-input', 'no', { detail: { problems: [{ path, message: 'is not built' }] } })
      changes.push(`apply ${file.service} ${dryRun ? 'dry' : 'wet'} ${prune ? 'prune' : 'keep'}`)
      return { plan, task: dryRun ? null : begin('apply') }
    },
    scaleService: ({ params, body }) => {
      changes.push(`scale ${params.service} ${JSON.stringify(body.replicas)}`)
      return { plan, task: begin('apply') }
    },
    deleteService: ({ params }) => {
      changes.push(`delete ${params.service}`)
      return { service: 'shop', task: begin('delete') }
    },
  }
}
