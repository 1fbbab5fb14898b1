/** Services over the API: a file is examined and planned, entered as what its owner wants, and a task makes it true. */
import { examineServiceFile } from '../../control/services/examine-service-file.ts'
import { planService } from '../../control/services/plan-service.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { serviceRoutes } from '../../model/api/service-routes.ts'
import type { Task } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, serviceIdSchema } from '../../model/ids.ts'
import type { ServiceRecord, ServiceSpec } from '../../model/service/service.ts'
import type { FileProblem, ServiceFile } from '../../model/service/service-file.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { serviceView } from '../views/service-view.ts'
import { type ApiContext, viewOfTask } from './api-context.ts'

type ServiceContext = Pick<ApiContext, 'engine'>

type Wish = { readonly file: ServiceFile; readonly dryRun: boolean; readonly prune: boolean; readonly user: string }

export function serviceHandlers(context: ServiceContext): Handlers<typeof serviceRoutes> {
  const state = () => context.engine.leader.index.state()
  return {
    listServices: () => ({ services: [...state().services.values()].map((service) => serviceView(state(), service)) }),
    getService: ({ params }) => serviceView(state(), findService(context, params.service)),
    applyService: ({ body }, caller) => applyService(context, { ...body, user: caller.name }),
    scaleService: ({ params, body }, caller) => {
      const { file } = findService(context, params.service).spec
      const scaled = Object.entries(body.replicas).map(([name, replicas]) => {
        const component = file.components[name]
        if (component !== undefined) return [name, { ...component, replicas }] as const
        throw new DialtoneError('not-found', `${file.service} has no component ${name}`)
      })
      const components = { ...file.components, ...Object.fromEntries(scaled) }
      return applyService(context, { file: { ...file, components }, dryRun: false, prune: false, user: caller.name })
    },
    deleteService: ({ params }, caller) => deleteService(context, params.service, caller.name),
  }
}

async function applyService({ engine }: ServiceContext, { file, dryRun, prune, user }: Wish) {
  const { leader, tasks } = engine
  refuse(file, examineServiceFile(file))
  return untilCommitted(file.service, async () => {
    const state = leader.index.state()
    const present = [...state.services.values()].find(({ spec }) => spec.name === file.service)
    const { plan, problems } = planService(state, file, { present, prune })
    refuse(file, problems)
    if (dryRun) return { plan, task: null }
    if (present !== undefined) refuseWhileBusy(leader.index.state().tasks.values(), present.spec)
    const at = leader.clock.wallTime().toISOString()
    const id = present?.spec.id ?? makeId('svc', serviceIdSchema, leader.randomBytes(8))
    const spec: ServiceSpec = {
      ...{ id, name: file.service, file, lifecycle: 'live', appliedAt: at },
      createdAt: present?.spec.createdAt ?? at,
    }
    const { task, write } = tasks.prepare({
      kind: 'service.apply',
      subject: file.service,
      user,
      journal: { serviceId: id, prune },
    })
    const event = leader.events.write({
      kind: 'service.applied',
      subject: file.service,
      message: `${user} applied a file: ${summaryOf(plan.steps)}`,
      user,
    })
    const claim = keys.nameClaim('service', file.service)
    const result = await commitAndSee(leader, {
      conditions: [present === undefined ? { key: claim, modRevision: 0 } : unchanged(leader, keys.service(id))],
      writes: [put(keys.service(id), spec), put(claim, id), write, event],
    })
    if (result.kind === 'conflict') return undefined
    tasks.begin(task.id)
    return { plan, task: viewOfTask(task) }
  })
}

async function deleteService(context: ServiceContext, reference: string, user: string) {
  const { leader, tasks } = context.engine
  return untilCommitted(reference, async () => {
    const { spec } = findService(context, reference)
    if (spec.lifecycle === 'live') refuseWhileBusy(leader.index.state().tasks.values(), spec)
    const { task, write } = tasks.prepare({
      kind: 'service.delete',
      subject: spec.name,
      user,
      journal: { serviceId: spec.id },
    })
    const key = keys.service(spec.id)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [put(key, { ...spec, lifecycle: 'deleting' }), write],
    })
    if (result.kind === 'conflict') return undefined
    tasks.begin(task.id)
    return { service: spec.name, task: viewOfTask(task) }
  })
}

/** Two applications at once would each undo what the other one does. */
function refuseWhileBusy(tasks: Iterable<Task>, { name, lifecycle }: ServiceSpec): void {
  if (lifecycle === 'deleting') throw new DialtoneError('wrong-state', `${name} is being deleted`)
  const busy = [...tasks].find(
    (task) => task.kind === 'service.apply' && task.subject === name && task.endedAt === null,
  )
  if (busy !== undefined)
    throw new DialtoneError('in-use', `${name} is being applied (${busy.id}): wait for that task, or cancel it`)
}

/** Throws all of them in one sentence, with the way to each. */
function refuse({ service }: ServiceFile, problems: readonly FileProblem[]): void {
  if (problems.length === 0) return
  const sentences = problems.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new DialtoneError('invalid-input', `${service} can't be applied: ${sentences.join('; ')}`, {
    detail: { problems },
  })
}

/** By name or id. */
function findService({ engine }: ServiceContext, reference: string): ServiceRecord {
  const { services } = engine.leader.index.state()
  const found = [...services.values()].find(({ spec }) => spec.name === reference || spec.id === reference)
  if (found === undefined) throw new DialtoneError('not-found', `there is no service ${reference}`)
  return found
}

function summaryOf(steps: readonly { readonly kind: string }[]): string {
  const kinds = Map.groupBy(steps, ({ kind }) => kind)
  return kinds.size === 0
    ? 'nothing is to be done'
    : [...kinds].map(([kind, { length }]) => `${length} to ${kind}`).join(', ')
}
