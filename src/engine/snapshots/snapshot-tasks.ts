/** Begins the tasks of snapshots, for whoever asks: the API, schedules, changes. */

import type { Task } from '../../model/cluster.ts'
import { makeId, type SnapshotId, snapshotIdSchema } from '../../model/ids.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Write } from '../../store/store.ts'
import { commitAndSee, type Leader } from '../leader.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import type { DeleteSnapshotJournal } from './delete-snapshot-saga.ts'
import type { RevertJournal } from './revert-saga.ts'
import type { TakeSnapshotJournal } from './take-snapshot-saga.ts'

export type SnapshotTasks = {
  take(spec: VmSpec, wish: Omit<TakeSnapshotJournal['wish'], 'id'>, user: string): Promise<Task>
  remove(spec: VmSpec, snapshotId: SnapshotId, user: string): Promise<Task>
  /** `more`: to be written with it, or not at all. */
  revert(
    spec: VmSpec,
    how: Omit<RevertJournal, 'vmId' | 'keep'> & { readonly keepAs: string | null },
    by: { readonly user: string; more?(task: Task): readonly Write[] },
  ): Promise<Task>
}

export function createSnapshotTasks(leader: Leader, tasks: () => TaskRunner): SnapshotTasks {
  const begin = async (
    what: { readonly kind: string; readonly spec: VmSpec; readonly user: string; readonly journal: unknown },
    more: (task: Task) => readonly Write[] = () => [],
  ) => {
    const { kind, spec, user, journal } = what
    const { task, write } = tasks().prepare({ kind, subject: spec.name, user, vmId: spec.id, journal })
    await commitAndSee(leader, { conditions: [], writes: [write, ...more(task)] })
    tasks().begin(task.id)
    return task
  }
  const newId = () => makeId('snap', snapshotIdSchema, leader.randomBytes(8))
  return {
    take(spec, wish, user) {
      const journal: TakeSnapshotJournal = { vmId: spec.id, wish: { ...wish, id: newId() } }
      return begin({ kind: 'vm.snapshot', spec, user, journal })
    },
    remove(spec, snapshotId, user) {
      const journal: DeleteSnapshotJournal = { vmId: spec.id, snapshotId }
      return begin({ kind: 'vm.snapshot-delete', spec, user, journal })
    },
    revert(spec, { keepAs, ...how }, { user, more }) {
      const keep = keepAs === null ? null : presentWish(newId(), keepAs)
      const journal: RevertJournal = { ...how, vmId: spec.id, keep }
      return begin({ kind: 'vm.revert', spec, user, journal }, more)
    },
  }
}

/** The present as it was, should it be missed: what is on the disks. */
function presentWish(id: SnapshotId, name: string): NonNullable<RevertJournal['keep']> {
  const note = 'what was there before a return to another snapshot'
  return { id, name, note, kind: 'disk', origin: 'before-revert', setId: null, isProtected: false, freeze: 'if-able' }
}
