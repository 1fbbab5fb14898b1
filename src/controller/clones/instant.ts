/** The instant of a machine's disks that something is made of: a snapshot that is taken for it, unless one is named, and that goes again. */
import type { Leader } from '../../engine/leader.ts'
import { beginChild, untilChildEnded } from '../../engine/snapshots/child-task.ts'
import type { StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { SnapshotId, VmId } from '../../model/ids.ts'

/** What a journal says of it. */
export type Instant = {
  readonly vmId: VmId
  readonly snapshotId: SnapshotId
  /** The snapshot is taken for this, and goes with it. */
  readonly isOwnSnapshot: boolean
}

/** Takes the snapshot unless it is there. `what`: its note. */
export async function keepInstant(
  leader: Leader,
  tasks: TaskRunner,
  { journal, task, signal, progress, what }: StepContext<Instant> & { readonly what: string },
): Promise<void> {
  const { vmId, snapshotId, isOwnSnapshot } = journal
  if (!isOwnSnapshot || leader.index.state().snapshots.has(snapshotId)) return
  const wish = {
    ...{ id: snapshotId, name: `for-${snapshotId.slice('snap-'.length)}`, note: what },
    ...{ kind: 'disk', origin: 'clone', setId: null, isProtected: false, freeze: 'if-able' },
  }
  const child = await beginChild(leader, tasks, {
    kind: 'vm.snapshot',
    subject: nameOf(leader, vmId),
    user: task.user,
    vmId,
    journal: { vmId, wish },
    isOwn: ({ journal: its }) => JSON.stringify(its).includes(snapshotId),
  })
  await untilChildEnded(leader, child, { signal, tell: (its) => progress(its.progress, its.message) })
}

/** By a task of its own, which merges what nothing needs any more; nobody waits for that. Doing it again is fine. */
export async function forgetInstant(
  leader: Leader,
  tasks: TaskRunner,
  { journal: { vmId, snapshotId, isOwnSnapshot }, task }: Pick<StepContext<Instant>, 'journal' | 'task'>,
): Promise<void> {
  if (!isOwnSnapshot) return
  const taking = [...leader.index.state().tasks.values()].find(
    (its) => its.kind === 'vm.snapshot' && its.endedAt === null && JSON.stringify(its.journal).includes(snapshotId),
  )
  if (taking !== undefined) {
    await tasks.cancel(taking.id)
    throw new DialtoneError('in-use', 'its snapshot is still being taken')
  }
  if (!leader.index.state().snapshots.has(snapshotId)) return
  await beginChild(leader, tasks, {
    kind: 'vm.snapshot-delete',
    subject: nameOf(leader, vmId),
    user: task.user,
    vmId,
    journal: { vmId, snapshotId },
    isOwn: (its) => its.endedAt === null && JSON.stringify(its.journal).includes(snapshotId),
  })
}

function nameOf(leader: Leader, vmId: VmId): string {
  return leader.index.state().vms.get(vmId)?.spec.name ?? vmId
}
