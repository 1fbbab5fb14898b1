/**
 * Clones a machine by its disks: they are kept for an instant by a snapshot, unless one is named; the new machine begins with their layers; and
 * the snapshot goes again. In the end there is the whole clone, or nothing of it and nothing on the origin.
 */
import { z } from 'zod'
import type { VmWish } from '../../control/admit-vm.ts'
import { wishForClone } from '../../control/clones/wish-for-clone.ts'
import { refuseClone } from '../../control/snapshots/admit-snapshot.ts'
import type { Leader } from '../../engine/leader.ts'
import { untilChildEnded } from '../../engine/snapshots/child-task.ts'
import { requireVm } from '../../engine/snapshots/closed-disks.ts'
import { closeOperation, openOperation } from '../../engine/snapshots/vm-operations.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import type { Task } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { ipv4AddressSchema } from '../../model/hardware.ts'
import {
  layerIdSchema,
  makeId,
  nameSchema,
  networkIdSchema,
  snapshotIdSchema,
  type TaskId,
  type VmId,
  vmIdSchema,
} from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import { enterVm } from './enter-vm.ts'
import { forgetInstant, keepInstant } from './instant.ts'

const journalSchema = z.object({
  /** The machine that is cloned. */
  vmId: vmIdSchema,
  name: nameSchema,
  snapshotId: snapshotIdSchema,
  /** The snapshot is taken for this, and goes with it. */
  isOwnSnapshot: z.boolean(),
  isFull: z.boolean(),
  start: z.boolean(),
  /** The network of its first card; null: the networks of its origin. */
  networkId: networkIdSchema.nullable(),
  /** In that network; left out: any. */
  address: ipv4AddressSchema.optional(),
  user: z.string(),
  summary: z.string().optional(),
})
export type CloneDisksJournal = z.infer<typeof journalSchema>

const longestMs = 6 * 3_600_000

export function cloneDisksSaga(
  leader: Leader,
  tasks: () => TaskRunner,
  { epochFloor }: { epochFloor(): number },
): RunnableSaga {
  return defineSaga<CloneDisksJournal>({
    kind: 'vm.clone-disks',
    journalSchema,
    pointOfNoReturn: 'forget-snapshot',
    steps: [
      {
        name: 'keep',
        message: 'keeps its disks as they are now',
        timeoutMs: 600_000,
        run: (context) =>
          keepInstant(leader, tasks(), { ...context, what: `what the clone ${context.journal.name} begins with` }),
        undo: (context) => forgetInstant(leader, tasks(), context),
      },
      {
        name: 'hold',
        message: 'looks whether it can be cloned',
        timeoutMs: 120_000,
        run: async ({ journal: { vmId }, task }) => {
          const refuse = (vm: Parameters<typeof refuseClone>[1]) => refuseClone(leader.index.state(), vm)
          await openOperation(leader, { vmId, taskId: task.id, kind: 'clone', epochFloor, refuse })
        },
        undo: ({ journal, task }) => closeOperation(leader, journal.vmId, task.id),
      },
      {
        name: 'make',
        message: 'makes the clone',
        timeoutMs: longestMs,
        run: (context) => makeClone(leader, tasks(), context),
        undo: (context) => dropClone(leader, tasks(), context),
      },
      {
        name: 'forget-snapshot',
        isRepeated: true,
        message: 'lets its disks go on',
        timeoutMs: 600_000,
        run: async (context) => {
          await closeOperation(leader, context.journal.vmId, context.task.id)
          await forgetInstant(leader, tasks(), context)
        },
      },
      {
        name: 'run',
        message: 'waits until the clone is up',
        timeoutMs: 180_000,
        run: async ({ journal, task, signal, progress }) => {
          const making = taskThatMakes(leader, findClone(leader, journal, task))
          const tell = (its: Task) => progress(its.progress, its.message)
          if (making !== undefined) await untilChildEnded(leader, making, { signal, tell })
          return { summary: `${journal.name} is a clone of ${task.subject}` }
        },
      },
    ],
  })
}

/** Until it is there with its disks; it may still be starting. */
async function makeClone(
  leader: Leader,
  tasks: TaskRunner,
  { journal, task, signal, progress }: StepContext<CloneDisksJournal>,
): Promise<void> {
  const present = findClone(leader, journal, task)
  const making = present === undefined ? await enter(leader, tasks, journal) : taskThatMakes(leader, present)
  for (;;) {
    signal.throwIfAborted()
    const state = leader.index.state()
    const its = making === undefined ? undefined : state.tasks.get(making)
    const clone = findClone(leader, journal, task)
    if (clone !== undefined && state.vms.get(clone)?.spec.lifecycle === 'live') return
    if (its === undefined || its.endedAt !== null)
      throw new DialtoneError(
        'wrong-state',
        `${journal.name} was not made: ${its?.error?.message ?? its?.state ?? 'it is gone'}`,
      )
    progress(its.progress, its.message)
    await leader.clock.sleep(20, signal)
  }
}

async function enter(leader: Leader, tasks: TaskRunner, journal: CloneDisksJournal): Promise<TaskId> {
  const { vmId, snapshotId, isFull, user } = journal
  const source = requireVm(leader, vmId).spec
  const snapshot: Snapshot | undefined = leader.index.state().snapshots.get(snapshotId)
  if (snapshot === undefined) throw new DialtoneError('not-found', 'the snapshot that it is cloned from was deleted')
  const wish: VmWish = wishForClone(source, snapshot, { ...journal, card: cardOf(journal) })
  const overlays = snapshot.disks.map(() => makeId('layer', layerIdSchema, leader.randomBytes(8)))
  const { task } = await enterVm({ leader, tasks }, wish, { user, disksFrom: { vmId, snapshotId, isFull, overlays } })
  return task.id
}

/** What its journal says of the clone's only card. */
export function cardOf({ networkId, address }: Pick<CloneDisksJournal, 'networkId' | 'address'>) {
  return networkId === null ? null : { networkId, address }
}

/** The machine that this task has entered, also when a crash kept it from being noted; not another one of the name. */
export function findClone(
  leader: Leader,
  { name, snapshotId }: Pick<CloneDisksJournal, 'name' | 'snapshotId'>,
  task: Task,
): VmId | undefined {
  const { vms, tasks } = leader.index.state()
  const spec = [...vms.values()].find((vm) => vm.spec.name === name)?.spec
  if (spec === undefined || spec.createdAt < task.createdAt) return undefined
  const making = [...tasks.values()].find((its) => its.kind === 'vm.create' && its.vmId === spec.id)
  return making !== undefined && JSON.stringify(making.journal).includes(snapshotId) ? spec.id : undefined
}

function taskThatMakes(leader: Leader, vmId: VmId | undefined): TaskId | undefined {
  return [...leader.index.state().tasks.values()].find((task) => task.kind === 'vm.create' && task.vmId === vmId)?.id
}

/** Called off before it is whole: its own task undoes it. */
async function dropClone(
  leader: Leader,
  tasks: TaskRunner,
  { journal, task }: StepContext<CloneDisksJournal>,
): Promise<void> {
  const clone = findClone(leader, journal, task)
  const spec = clone === undefined ? undefined : leader.index.state().vms.get(clone)?.spec
  const making = taskThatMakes(leader, clone)
  if (spec?.lifecycle !== 'creating' || making === undefined) return
  await tasks.cancel(making)
  throw new DialtoneError('in-use', `${journal.name} is still being undone`)
}
