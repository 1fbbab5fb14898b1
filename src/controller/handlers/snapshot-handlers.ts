/** Snapshots over the API: what can't be done is refused at once, with the reason; a task does the rest. */
import { refuseAnyMemory, refuseDelete, refuseRevert, refuseSnapshot } from '../../control/snapshots/admit-snapshot.ts'
import { describeDifferences } from '../../control/snapshots/describe-differences.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import type { SnapshotSetJournal } from '../../engine/snapshots/snapshot-set-saga.ts'
import { keys } from '../../engine/state/keys.ts'
import type { snapshotRoutes } from '../../model/api/snapshot-routes.ts'
import type { Task } from '../../model/cluster.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, snapshotIdSchema } from '../../model/ids.ts'
import type { SnapshotSchedule } from '../../model/snapshots/snapshot-schedule.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'
import { changeRoutesHandlers } from './change-handlers.ts'
import { findSnapshot, snapshotList, snapshotView } from './find-snapshot.ts'
import { refuse, usualKind } from './refuse-snapshot.ts'

type All = Handlers<typeof snapshotRoutes>
type SetBody = Parameters<All['createSnapshotSet']>[0]['body']

export function snapshotHandlers(context: ApiContext): All {
  const { leader, snapshots } = context.engine
  const cluster = () => leader.index.state()
  const begun = (vm: VmRecord, task: Task) => ({ vm: viewOfVm(context, vm.spec.id), task: viewOfTask(task) })
  return {
    listSnapshots: ({ params }) => snapshotList(cluster(), findVm(context, params.vm)),
    getSnapshot({ params }) {
      const vm = findVm(context, params.vm)
      const snapshot = findSnapshot(cluster(), vm, params.snapshot)
      const differences = [...describeDifferences(vm.spec, snapshot)]
      return { ...snapshotView(cluster(), vm, snapshot), differences }
    },
    async createSnapshot({ params, body }, caller) {
      const vm = findVm(context, params.vm)
      const { protected: isProtected, name, note, freeze } = body
      const kind = body.kind ?? usualKind(context, vm)
      refuse(refuseSnapshot(cluster(), vm, { name, kind }))
      const wish = { name, note, freeze, kind, isProtected, origin: 'user', setId: null } as const
      return begun(vm, await snapshots.take(vm.spec, wish, caller.name))
    },
    createSnapshotSet: ({ body }, caller) => createSet(context, body, caller),
    changeSnapshot: ({ params, body }) => changeSnapshot(context, params, body),
    async deleteSnapshot({ params }, caller) {
      const vm = findVm(context, params.vm)
      const snapshot = findSnapshot(cluster(), vm, params.snapshot)
      refuse(refuseDelete(vm, snapshot))
      return begun(vm, await snapshots.remove(vm.spec, snapshot.id, caller.name))
    },
    async revertVm({ params, body }, caller) {
      const vm = findVm(context, params.vm)
      const { id: snapshotId } = findSnapshot(cluster(), vm, body.snapshot)
      refuse(refuseRevert(leader.index.state(), vm))
      if (vm.change !== undefined)
        throw new DialtoneError('in-use', `a change of ${vm.spec.name} is open: commit it or take it back first`)
      const keepAs = body.keepAs ?? null
      if (keepAs !== null) refuse(refuseSnapshot(cluster(), vm, { name: keepAs, kind: 'disk' }))
      const how = { snapshotId, isPlanned: true, keepAs }
      return begun(vm, await snapshots.revert(vm.spec, how, { user: caller.name }))
    },
    setSnapshotSchedule({ params, body }, caller) {
      if (body.kind === 'memory') refuse(refuseAnyMemory(cluster(), findVm(context, params.vm).spec))
      const setAt = leader.clock.wallTime().toISOString()
      return writeSchedule(context, params.vm, { schedule: { ...body, setBy: caller.name, setAt }, caller })
    },
    dropSnapshotSchedule: ({ params }, caller) => writeSchedule(context, params.vm, { schedule: null, caller }),
    ...changeRoutesHandlers(context),
  }
}

async function createSet(context: ApiContext, body: SetBody, caller: Caller) {
  const { leader, tasks } = context.engine
  const { name, note, freeze, protected: isProtected } = body
  const vms = body.vms.map((reference) => findVm(context, reference))
  if (new Set(vms.map(({ spec }) => spec.id)).size !== vms.length)
    throw new DialtoneError('invalid-input', 'a machine is named twice')
  const setId = makeId('snap', snapshotIdSchema, leader.randomBytes(8))
  const kind = body.kind ?? (vms.every((vm) => usualKind(context, vm) === 'memory') ? 'memory' : 'disk')
  const members = vms.map((vm) => {
    refuse(refuseSnapshot(leader.index.state(), vm, { name, kind }))
    if (vm.status?.state !== 'running' && vm.status?.state !== 'paused')
      throw new DialtoneError('wrong-state', `${vm.spec.name} does not run: one that is off has no instant with others`)
    const id = makeId('snap', snapshotIdSchema, leader.randomBytes(8))
    const wish = { id, name, note, kind, freeze, isProtected, origin: 'user', setId } as const
    return { vmId: vm.spec.id, name: vm.spec.name, wish }
  })
  const journal: SnapshotSetJournal = { members }
  const subject = vms.map(({ spec }) => spec.name).join(',')
  const { task, write } = tasks.prepare({ kind: 'snapshot-set', subject, user: caller.name, journal })
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return { task: viewOfTask(task) }
}

function changeSnapshot(
  context: ApiContext,
  params: { readonly vm: string; readonly snapshot: string },
  change: { readonly protected?: boolean | undefined; readonly note?: string | undefined },
) {
  const { leader } = context.engine
  return untilCommitted(params.snapshot, async () => {
    const vm = findVm(context, params.vm)
    const snapshot = findSnapshot(leader.index.state(), vm, params.snapshot)
    const { protected: isProtected = snapshot.isProtected, note = snapshot.note } = change
    const next = { ...snapshot, isProtected, note }
    const key = keys.snapshot(snapshot.id)
    const result = await commitAndSee(leader, { conditions: [unchanged(leader, key)], writes: [put(key, next)] })
    return result.kind === 'committed' ? snapshotView(leader.index.state(), vm, next) : undefined
  })
}

function writeSchedule(
  context: ApiContext,
  reference: string,
  { schedule, caller }: { readonly schedule: SnapshotSchedule | null; readonly caller: Caller },
) {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const { spec } = findVm(context, reference)
    const key = keys.vmSnapshotSchedule(spec.id)
    const what =
      schedule === null
        ? 'no more snapshots by themselves'
        : `a snapshot every ${schedule.everySeconds} s, the newest ${schedule.keep} are kept`
    const event = leader.events.write({
      ...{ kind: 'vm.snapshot-schedule', subject: spec.name, message: what, vmId: spec.id, user: caller.name },
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key), unchanged(leader, keys.vm(spec.id))],
      writes: [schedule === null ? { kind: 'delete', key } : put(key, schedule), event],
    })
    return result.kind === 'committed' ? snapshotList(leader.index.state(), findVm(context, reference)) : undefined
  })
}
