/** Drills over the API. What isn't marked drillable is broken only on an operator's word. */
import { commitAndSee } from '../../engine/leader.ts'
import type { drillRoutes } from '../../model/api/drill-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'

export function drillHandlers(context: ApiContext): Handlers<typeof drillRoutes> {
  return {
    async drillVm({ params, body }, caller) {
      const { leader, tasks } = context.engine
      const { spec, placement, status } = findVm(context, params.vm)
      const { kind } = body
      if (!spec.drillable && !body.confirmed)
        throw new DialtoneError(
          'forbidden',
          `${spec.name} is not marked drillable: repeat the drill with --yes, or mark it with dialtone vm set ${spec.name} --drillable`,
        )
      if (placement === undefined || status?.state !== 'running')
        throw new DialtoneError(
          'wrong-state',
          `${spec.name} is ${status?.state ?? 'stopped'}: a drill needs it running`,
        )
      if (spec.probe === null)
        throw new DialtoneError('invalid-input', `${spec.name} has no probe: nobody would see whether it came back`)
      if (status.recovery?.service !== 'correct')
        throw new DialtoneError(
          'wrong-state',
          `${spec.name} does not serve at the moment: a drill would measure nothing`,
        )
      const underWay = [...leader.index.state().tasks.values()].find(
        (task) => task.kind === 'vm.drill' && task.vmId === spec.id && task.endedAt === null,
      )
      if (underWay !== undefined)
        throw new DialtoneError('in-use', `${spec.name} is being drilled already (${underWay.id})`)
      if (kind === 'kill-host') refuseHost(context, placement.hostId, { ha: spec.ha, isConfirmed: body.confirmed })
      const { task, write } = tasks.prepare({
        kind: 'vm.drill',
        subject: `${spec.name}: ${kind}`,
        user: caller.name,
        vmId: spec.id,
        hostId: placement.hostId,
        journal: { vmId: spec.id, kind, hostId: placement.hostId, beganAt: null },
      })
      const event = leader.events.write({
        kind: 'drill.asked-for',
        subject: spec.name,
        message: `${kind}, asked for by ${caller.name}`,
        vmId: spec.id,
        user: caller.name,
      })
      await commitAndSee(leader, { conditions: [], writes: [write, event] })
      tasks.begin(task.id)
      return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
    },
  }
}

/** A host carries others too: what they would suffer is said before it is switched off. */
function refuseHost(
  { engine }: ApiContext,
  hostId: Parameters<ReturnType<ApiContext['engine']['leader']['index']['state']>['hosts']['get']>[0],
  { ha, isConfirmed }: { readonly ha: boolean; readonly isConfirmed: boolean },
): void {
  const { hosts, vms } = engine.leader.index.state()
  const host = hosts.get(hostId)
  if (host === undefined) throw new DialtoneError('not-found', 'its host is gone')
  if (!ha) throw new DialtoneError('wrong-state', 'it has no HA: it would stay down until its host is back')
  if (host.spec.fence === null)
    throw new DialtoneError('wrong-state', `${host.spec.name} has no power fence that could switch it off and on again`)
  const others = [...vms.values()].filter(({ spec, placement }) => placement?.hostId === hostId && !spec.drillable)
  if (others.length > 0 && !isConfirmed)
    throw new DialtoneError(
      'forbidden',
      `${others.map(({ spec }) => spec.name).join(', ')} would fail with ${host.spec.name} and is not marked drillable: repeat with --yes`,
    )
}
