/** Maintenance of hosts over the API. What could not be emptied is refused before anything begins. */
import { planMaintenance } from '../../control/maintenance/plan-maintenance.ts'
import { commitAndSee } from '../../engine/leader.ts'
import { enterMaintenance, leaveMaintenance } from '../../engine/maintenance/change-maintenance.ts'
import type { maintenanceRoutes } from '../../model/api/maintenance-routes.ts'
import type { Task } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId } from '../../model/ids.ts'
import type { MaintenancePlan, MaintenanceWish } from '../../model/maintenance.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findHost, viewOfTask } from './api-context.ts'
import { viewOfHost } from './host-handlers.ts'

export function maintenanceHandlers(context: ApiContext): Handlers<typeof maintenanceRoutes> {
  const { leader, tasks } = context.engine
  return {
    planMaintenance: ({ params, query }) => planFor(context, findHost(context, params.host).spec.id, query),
    beginMaintenance: ({ params, body }, caller) => begin(context, params.host, { wish: body, caller }),
    updateHosts: ({ body }, caller) => update(context, body, caller),
    async endMaintenance({ params }, caller) {
      const { spec } = findHost(context, params.host)
      const startedVms = [...(await leaveMaintenance(leader, spec.id, caller.name))]
      for (const task of drainsOf(context, spec.id)) await tasks.cancel(task.id)
      return { host: viewOfHost(context, spec.id), startedVms }
    },
  }
}

async function begin(
  context: ApiContext,
  reference: string,
  { wish, caller }: { readonly wish: MaintenanceWish; readonly caller: Caller },
) {
  const { leader, tasks } = context.engine
  const { spec } = findHost(context, reference)
  const [underWay] = drainsOf(context, spec.id)
  if (underWay !== undefined) return { host: viewOfHost(context, spec.id), task: viewOfTask(underWay) }
  refuseStuck(planFor(context, spec.id, wish))
  const { task, write } = tasks.prepare({
    kind: 'host.maintenance',
    subject: spec.name,
    user: caller.name,
    hostId: spec.id,
    journal: { hostId: spec.id, wish },
  })
  await enterMaintenance(leader, spec.id, { user: caller.name, withWrites: [write] })
  tasks.begin(task.id)
  return { host: viewOfHost(context, spec.id), task: viewOfTask(task) }
}

type UpdateBody = MaintenanceWish & { readonly hosts?: readonly string[] | undefined; readonly command: string }

/** Each host could be emptied as things are now; whether it still can be is seen when it is its turn. */
async function update(context: ApiContext, { hosts: references, command, ...wish }: UpdateBody, caller: Caller) {
  const { leader, tasks } = context.engine
  const all = [...leader.index.state().hosts.values()].map(({ spec }) => spec.name).sort()
  const specs = (references ?? all).map((reference) => findHost(context, reference).spec)
  const twice = specs.find((spec, index) => specs.indexOf(spec) !== index)
  if (twice !== undefined) throw new DialtoneError('invalid-input', `${twice.name} is named twice`)
  const underWay = [...leader.index.state().tasks.values()].find(
    (task) => task.kind === 'host.rolling-update' && task.endedAt === null,
  )
  if (underWay !== undefined) throw new DialtoneError('in-use', `hosts are being updated already (${underWay.id})`)
  for (const { id } of specs) refuseStuck(planFor(context, id, wish))
  const { task, write } = tasks.prepare({
    kind: 'host.rolling-update',
    subject: specs.map(({ name }) => name).join(', '),
    user: caller.name,
    journal: { hostIds: specs.map(({ id }) => id), command, wish, output: '' },
  })
  const told = leader.events.write({
    kind: 'host.update-asked-for',
    subject: task.subject,
    message: `${caller.name} has them run, one after the other: ${command}`,
    user: caller.name,
  })
  await commitAndSee(leader, { conditions: [], writes: [write, told] })
  tasks.begin(task.id)
  return { task: viewOfTask(task), hostNames: specs.map(({ name }) => name) }
}

function planFor({ engine }: ApiContext, hostId: HostId, wish: Pick<MaintenanceWish, 'stop' | 'restartElsewhere'>) {
  const state = engine.leader.index.state()
  return planMaintenance(state, hostId, { ...wish, obstacleToMigration: (vm) => engine.migrate.obstacle(state, vm) })
}

function refuseStuck({ hostName, moves }: MaintenancePlan): void {
  const stuck = moves.filter(({ way }) => way === 'refused')
  if (stuck.length === 0) return
  const reasons = stuck.map(({ vmName, reason }) => `${vmName}: ${reason}`).join('; ')
  throw new DialtoneError('no-host-fits', `${hostName} can't be emptied: ${reasons}`, { detail: { moves: stuck } })
}

function drainsOf({ engine }: ApiContext, hostId: HostId): readonly Task[] {
  return [...engine.leader.index.state().tasks.values()].filter(
    (task) => task.kind === 'host.maintenance' && task.hostId === hostId && task.endedAt === null,
  )
}
