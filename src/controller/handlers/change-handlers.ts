/** Changes under a safety net over the API. */
import { refuseRevert, refuseSnapshot } from '../../control/snapshots/admit-snapshot.ts'
import type { BeginChangeJournal } from '../../engine/changes/change-sagas.ts'
import { commitAndSee } from '../../engine/leader.ts'
import type { snapshotRoutes } from '../../model/api/snapshot-routes.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, snapshotIdSchema, type TaskId } from '../../model/ids.ts'
import type { VmChange } from '../../model/snapshots/vm-change.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'
import { refuse, usualKind } from './refuse-snapshot.ts'

type ChangeRoute = 'getChange' | 'beginChange' | 'commitChange' | 'revertChange'

export function changeRoutesHandlers(context: ApiContext): Pick<Handlers<typeof snapshotRoutes>, ChangeRoute> {
  const { leader, tasks, changes } = context.engine
  const begun = ({ spec }: VmRecord, taskId: TaskId) => {
    const task = leader.index.state().tasks.get(taskId)
    if (task === undefined) throw new DialtoneError('not-found', `the task ${taskId} is gone already`)
    return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
  }
  return {
    getChange({ params }) {
      const { change } = findVm(context, params.vm)
      const snapshot = change === undefined ? undefined : leader.index.state().snapshots.get(change.snapshotId)
      return { change: change ?? null, snapshotName: snapshot?.name ?? null }
    },
    async beginChange({ params, body }, caller) {
      const vm = findVm(context, params.vm)
      const { spec, status } = vm
      if (vm.change !== undefined)
        throw new DialtoneError('in-use', `a change of ${spec.name} is open already: commit it or take it back first`)
      if (status?.state !== 'running')
        throw new DialtoneError(
          'wrong-state',
          `${spec.name} is ${status?.state ?? 'stopped'}: only one that runs can be watched`,
        )
      const kind = body.kind ?? usualKind(context, vm)
      const id = makeId('snap', snapshotIdSchema, leader.randomBytes(8))
      // No two changes begin in the same minute with the same name.
      const name = `change-${id.slice(-8)}`
      refuse(refuseSnapshot(leader.index.state(), vm, { name, kind }))
      const note = `before a change by ${caller.name}`
      const journal: BeginChangeJournal = {
        vmId: spec.id,
        wish: { id, name, note, kind, freeze: 'if-able', origin: 'change', setId: null, isProtected: false },
        checks: body.checks,
        watchedForMs: body.forSeconds * 1000,
        isAuto: body.auto,
      }
      const wanted = { kind: 'vm.change-begin', subject: spec.name, user: caller.name, vmId: spec.id, journal }
      const { task, write } = tasks.prepare(wanted)
      await commitAndSee(leader, { conditions: [], writes: [write] })
      tasks.begin(task.id)
      return begun(vm, task.id)
    },
    async commitChange({ params }, caller) {
      const vm = findVm(context, params.vm)
      const change = openChange(vm)
      return begun(vm, await changes.end(vm, change, { outcome: 'committed', user: caller.name }))
    },
    async revertChange({ params }, caller) {
      const vm = findVm(context, params.vm)
      const change = openChange(vm)
      refuse(refuseRevert(leader.index.state(), vm))
      return begun(vm, await changes.revert(vm, change, caller.name))
    },
  }
}

function openChange({ spec, change }: VmRecord): VmChange {
  if (change !== undefined) return change
  throw new DialtoneError(
    'wrong-state',
    `no change of ${spec.name} is open: begin one with dialtone vm change begin ${spec.name}`,
  )
}
