/** VMs over the API. Each wish is checked against the present state and committed on condition that it is still so; a task follows it. */
import { placeVm } from '../../control/place-vm.ts'
import { refuseByReserve } from '../../control/placement/judge-reserve.ts'
import { snapshotsOf } from '../../control/snapshots/snapshot-tree.ts'
import { commitAndSee, oneAdmission, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { PowerTaskKind } from '../../engine/vms/power-task.ts'
import type { vmRoutes } from '../../model/api/vm-routes.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmAction, VmSpec } from '../../model/vm.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { enterVm } from '../clones/enter-vm.ts'
import { terminalHandlers } from '../terminals/terminal-handlers.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'
import { assertAllowed } from './assert-allowed.ts'
import { attachDisk, detachDisk, resizeDisk } from './change-disks.ts'
import { changeVm, warmVm } from './change-vm.ts'
import { enterDeletion } from './enter-deletion.ts'
import { findGroup } from './firewall-handlers.ts'
import { whereItIs } from './where-it-is.ts'

export function vmHandlers(context: ApiContext): Handlers<typeof vmRoutes> {
  const { leader } = context.engine

  return {
    listVms({ query: { tag } }) {
      const { index } = leader
      const all = [...index.state().vms.values()]
      const ids = all.flatMap(({ spec }) => (tag === undefined || spec.tags.includes(tag) ? [spec.id] : []))
      return { vms: ids.map((vmId) => viewOfVm(context, vmId)), revision: index.revision() }
    },
    getVm: ({ params }) => viewOfVm(context, findVm(context, params.vm).spec.id),
    createVm: ({ body }, caller) => createVm(context, body, caller),
    changeVm: ({ params, body }, caller) => changeVm(context, params.vm, { change: body, caller }),
    attachDisk: ({ params, body }, caller) => attachDisk(context, params.vm, { wish: body, caller }),
    resizeDisk: ({ params, body }, caller) => resizeDisk(context, params.vm, { ...params, ...body, caller }),
    detachDisk: ({ params, query }, caller) =>
      detachDisk(context, params.vm, { disk: params.disk, isToBeDeleted: query.delete, caller }),
    warmVm: ({ params }, caller) => warmVm(context, params.vm, caller),
    startVm: ({ params, body }, caller) =>
      changePower(context, params.vm, {
        caller,
        action: 'start',
        isForced: body.force,
        task: 'vm.start',
        change: { desired: 'running' },
        timeoutMs: 120_000,
      }),
    stopVm: ({ params, body }, caller) =>
      changePower(context, params.vm, {
        caller,
        action: 'stop',
        task: 'vm.stop',
        change: { desired: 'stopped', stopMode: 'shutdown' },
        timeoutMs: body.timeoutSeconds * 1000,
      }),
    killVm: ({ params }, caller) =>
      changePower(context, params.vm, {
        caller,
        action: 'kill',
        task: 'vm.kill',
        change: { desired: 'stopped', stopMode: 'kill' },
        timeoutMs: 60_000,
      }),
    pauseVm: ({ params }, caller) =>
      changePower(context, params.vm, {
        caller,
        action: 'pause',
        task: 'vm.pause',
        change: { desired: 'paused' },
        timeoutMs: 30_000,
      }),
    resumeVm: ({ params }, caller) =>
      changePower(context, params.vm, {
        caller,
        action: 'resume',
        task: 'vm.resume',
        change: { desired: 'running' },
        timeoutMs: 30_000,
      }),
    resetVm: ({ params }, caller) => resetVm(context, params.vm, caller),
    deleteVm: ({ params, query }, caller) => deleteVm(context, params.vm, { caller, ...query }),
    ...terminalHandlers(context),
  }
}

async function resetVm(context: ApiContext, reference: string, caller: Caller) {
  const { leader } = context.engine
  const vm = findVm(context, reference)
  assertAllowed(vm, 'reset')
  const { host, authority, placement } = whereItIs(context, vm)
  const vmId = vm.spec.id
  await context.agents.changeMachine(host, { vmId, authority, epoch: placement.epoch, change: 'reset' })
  await leader.events.record({
    kind: 'vm.reset',
    subject: vm.spec.name,
    message: 'its reset button was pressed',
    vmId,
    user: caller.name,
  })
  return viewOfVm(context, vmId)
}

async function createVm(
  context: ApiContext,
  body: Parameters<Handlers<typeof vmRoutes>['createVm']>[0]['body'],
  caller: Caller,
) {
  const { force: isForced, ...wish } = body
  const securityGroupIds = [...new Set(body.securityGroups.map((group) => findGroup(context, group).id))]
  const { spec, task } = await enterVm(context.engine, { ...wish, isForced, securityGroupIds }, caller.name)
  return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
}

type PowerChange = {
  readonly caller: Caller
  readonly action: VmAction
  readonly task: PowerTaskKind
  readonly change: Partial<Pick<VmSpec, 'desired' | 'stopMode'>>
  readonly timeoutMs: number
  /** Also when it breaks the reserve for failing hosts. */
  readonly isForced?: boolean
}

async function changePower(
  context: ApiContext,
  reference: string,
  { caller, action, task: kind, change, timeoutMs, isForced }: PowerChange,
) {
  const { leader, tasks } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    assertAllowed(vm, action)
    const { spec } = vm
    const isStart = action === 'start' && spec.desired === 'stopped'
    if (isStart && isForced !== true) refuseStart(context, vm)
    const turn = isStart ? oneAdmission(leader, spec.id) : { conditions: [], writes: [] }
    const key = keys.vm(spec.id)
    const { task, write } = tasks.prepare({
      kind,
      subject: spec.name,
      user: caller.name,
      vmId: spec.id,
      journal: { vmId: spec.id, timeoutMs },
    })
    const event = leader.events.write({
      kind: `vm.${action}-asked-for`,
      subject: spec.name,
      message: `${action} asked for by ${caller.name}`,
      vmId: spec.id,
      user: caller.name,
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key), ...turn.conditions],
      writes: [put(key, { ...spec, ...change }), write, event, ...turn.writes],
    })
    if (result.kind === 'conflict') return undefined
    tasks.begin(task.id)
    return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
  })
}

async function deleteVm(
  context: ApiContext,
  reference: string,
  how: { readonly caller: Caller; readonly force: boolean; readonly protectedToo: boolean },
) {
  const { leader } = context.engine
  const { caller, force, protectedToo } = how
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    const { spec } = vm
    const kept = snapshotsOf(leader.index.state(), spec.id).find(({ isProtected }) => isProtected)
    if (kept !== undefined && !protectedToo)
      throw new DialtoneError(
        'wrong-state',
        `${spec.name} has the protected snapshot ${kept.name}, which would go with it: take the protection back, or add --protected-too`,
      )
    const isBeingMade = [...leader.index.state().tasks.values()].some(
      (task) => task.kind !== 'vm.delete' && task.vmId === spec.id && task.endedAt === null,
    )
    // One that was left half made, by a task that could not undo it, is deleted like any other.
    if (spec.lifecycle === 'creating' && isBeingMade)
      throw new DialtoneError('wrong-state', `${spec.name} is still being made: cancel that task, or wait for it`)
    if (!force && spec.lifecycle !== 'creating') assertAllowed(vm, 'delete', ' (or delete it with --force)')
    const task = await enterDeletion(context.engine, vm, caller.name)
    return task === undefined ? undefined : { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
  })
}

/** Where it would be started now, the reserve for failing hosts stays whole. One that finds no host waits, and takes no room. */
function refuseStart({ engine }: ApiContext, vm: VmRecord): void {
  const state = engine.leader.index.state()
  const choice = placeVm(state, vm.spec, { preferred: vm.placement?.hostId })
  const reason = choice.kind === 'placed' ? refuseByReserve(state, { vm, hostId: choice.hostId }) : undefined
  if (reason !== undefined) throw new DialtoneError('reserve-broken', `${vm.spec.name} is not started: ${reason}`)
}
