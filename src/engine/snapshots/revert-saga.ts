/**
 * Returns a machine to a snapshot. One that runs goes on from there where it runs; the disks of one that is off are what they were, and with
 * memory it starts from that. The present is kept as a snapshot of its own if its owner wants that, and for some days on the disks in any case.
 */
import { z } from 'zod'
import { refuseRevert } from '../../control/snapshots/admit-snapshot.ts'
import { describeDifferences } from '../../control/snapshots/describe-differences.ts'
import type { Reverted } from '../../model/agent-protocol/snapshot-orders.ts'
import { revertedSchema } from '../../model/agent-protocol/snapshot-orders.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { snapshotIdSchema, vmIdSchema } from '../../model/ids.ts'
import { type Snapshot, snapshotWishSchema } from '../../model/snapshots/snapshot.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { machineTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { isRunning } from '../vms/create-vm.ts'
import { waitForVm } from '../vms/wait-for-vm.ts'
import { untilAnswered } from './ask-again.ts'
import { beginChild, untilChildEnded } from './child-task.ts'
import { closeDisks, planOverlays, requireVm } from './closed-disks.ts'
import { overlaysSchema, type SnapshotSagaOptions } from './take-snapshot-saga.ts'
import { closeOperation, openOperation } from './vm-operations.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  snapshotId: snapshotIdSchema,
  /** The snapshot that keeps the present; null: none is taken. */
  keep: snapshotWishSchema.omit({ sizesMiB: true, parentId: true }).nullable(),
  /** Its owner wants it; otherwise it is the end of an outage. */
  isPlanned: z.boolean(),
  overlays: overlaysSchema.optional(),
  isClosed: z.boolean().optional(),
  reverted: revertedSchema.optional(),
})
export type RevertJournal = z.infer<typeof journalSchema>

const busyForMs = 180_000

export function revertSaga(leader: Leader, options: SnapshotSagaOptions, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<RevertJournal>({
    kind: 'vm.revert',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'keep',
        message: 'keeps the present',
        timeoutMs: 6 * 3_600_000,
        run: (context) => keepPresent(leader, tasks(), context),
      },
      {
        name: 'open',
        message: 'looks whether it can be returned to',
        timeoutMs: 30_000,
        run: async ({ journal: { vmId, snapshotId }, task }) => {
          snapshotOf(leader, snapshotId)
          const { epochFloor } = options
          const wish = { vmId, taskId: task.id, kind: 'revert', epochFloor } as const
          const refuse = (vm: VmRecord) => refuseRevert(leader.index.state(), vm)
          const operation = await openOperation(leader, { ...wish, refuse })
          return { overlays: [...planOverlays(requireVm(leader, vmId).spec, leader)], isClosed: operation.needsClosed }
        },
        undo: ({ journal, task }) => closeOperation(leader, journal.vmId, task.id),
      },
      {
        name: 'revert',
        message: 'returns to it',
        timeoutMs: 600_000,
        run: async (context) => ({ reverted: await revert(leader, options, context) }),
      },
      {
        name: 'enter',
        isRepeated: true,
        message: 'enters it',
        timeoutMs: 30_000,
        run: (context) => enter(leader, context),
      },
      {
        name: 'start',
        message: 'waits until it runs',
        timeoutMs: 120_000,
        run: async ({ journal: { vmId }, signal }) => {
          if (leader.index.state().vms.get(vmId)?.spec.desired === 'running')
            await waitForVm(leader, vmId, { signal, condition: isRunning })
        },
      },
    ],
  })
}

async function keepPresent(
  leader: Leader,
  tasks: TaskRunner,
  { journal: { vmId, keep }, task, signal, progress }: StepContext<RevertJournal>,
): Promise<void> {
  if (keep === null || leader.index.state().snapshots.has(keep.id)) return
  const child = await beginChild(leader, tasks, {
    kind: 'vm.snapshot',
    subject: task.subject,
    user: task.user,
    vmId,
    journal: { vmId, wish: keep },
    isOwn: ({ journal }) => JSON.stringify(journal).includes(keep.id),
  })
  await untilChildEnded(leader, child, { signal, tell: (its) => progress(its.progress, its.message) })
}

async function revert(
  leader: Leader,
  { agents }: SnapshotSagaOptions,
  { journal, task, signal, progress }: StepContext<RevertJournal>,
): Promise<Reverted> {
  const { vmId, overlays = [], isPlanned } = journal
  const snapshot = snapshotOf(leader, journal.snapshotId)
  const tell = (why: string) => progress(0.1, why)
  return untilAnswered(leader, { withinMs: busyForMs, signal, tell }, async () => {
    if (journal.isClosed === true) {
      const { host, order } = await closeDisks(leader, agents, { vmId, overlays, signal })
      await agents.revertDisks(host, { ...order, snapshot })
      return { how: 'booted', detail: '' }
    }
    const { host, authority, placement } = machineTarget(leader, vmId)
    return agents.revertMachine(host, { vmId, authority, epoch: placement.epoch, taskId: task.id, snapshot, isPlanned })
  })
}

/** What goes on from memory runs; what was off stays off unless it has a memory to go on from. */
async function enter(leader: Leader, { journal, task }: StepContext<RevertJournal>): Promise<object> {
  const { vmId, snapshotId, reverted, isClosed } = journal
  const snapshot = leader.index.state().snapshots.get(snapshotId)
  const summary = await untilCommitted(task.subject, async () => {
    const vm = leader.index.state().vms.get(vmId)
    if (vm === undefined || snapshot === undefined) return ''
    const { spec } = vm
    if (vm.operation?.taskId !== task.id) return describe(snapshot, reverted, describeDifferences(spec, snapshot))
    const message = describe(snapshot, reverted, describeDifferences(spec, snapshot))
    const isFromMemory = snapshot.imageId !== null
    const resumesFrom = isClosed === true ? snapshot.imageId : null
    const desired = isFromMemory ? 'running' : spec.desired
    const result = await commitAndSee(leader, {
      conditions: [keys.vm(vmId), keys.vmOperation(vmId)].map((key) => unchanged(leader, key)),
      writes: [
        put(keys.vm(vmId), { ...spec, basedOnSnapshotId: snapshotId, desired, resumesFrom }),
        { kind: 'delete', key: keys.vmOperation(vmId) },
        leader.events.write({ kind: 'vm.reverted', subject: spec.name, message, vmId, user: task.user }),
      ],
    })
    return result.kind === 'committed' ? message : undefined
  })
  return { summary }
}

function describe({ name }: Snapshot, reverted: Reverted | undefined, differences: readonly string[]): string {
  const how = reverted?.how === 'resumed' ? ', and goes on from that instant' : ''
  const why = reverted === undefined || reverted.detail === '' ? [] : [`it was booted: ${reverted.detail}`]
  return [`it is what it was at ${name}${how}`, ...why, ...differences].join('; ')
}

function snapshotOf(leader: Leader, snapshotId: RevertJournal['snapshotId']): Snapshot {
  const snapshot = leader.index.state().snapshots.get(snapshotId)
  if (snapshot === undefined) throw new DialtoneError('not-found', 'the snapshot was deleted')
  return snapshot
}
