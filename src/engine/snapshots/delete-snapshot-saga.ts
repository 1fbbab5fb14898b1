/**
 * Lets a snapshot go: the record first, so that nobody returns to it any more; then what lies beside the disks; then the layers that nothing
 * needs now are merged, while the machine runs or while it is off. That may be called off: it is done later then, by whoever runs it.
 */
import { z } from 'zod'
import { refuseDelete } from '../../control/snapshots/admit-snapshot.ts'
import { snapshotsOf } from '../../control/snapshots/snapshot-tree.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { snapshotIdSchema, vmIdSchema } from '../../model/ids.ts'
import { snapshotSchema } from '../../model/snapshots/snapshot.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { machineTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { untilAnswered } from './ask-again.ts'
import { closeDisks, hostForDisks } from './closed-disks.ts'
import type { SnapshotSagaOptions } from './take-snapshot-saga.ts'
import { closeOperation, openOperation } from './vm-operations.ts'

const journalSchema = z.object({
  vmId: vmIdSchema,
  snapshotId: snapshotIdSchema,
  /** As it was entered, once its record is gone. */
  snapshot: snapshotSchema.nullable().optional(),
})
export type DeleteSnapshotJournal = z.infer<typeof journalSchema>

const busyForMs = 120_000
const followMs = 1_000

export function deleteSnapshotSaga(leader: Leader, options: SnapshotSagaOptions): RunnableSaga {
  return defineSaga<DeleteSnapshotJournal>({
    kind: 'vm.snapshot-delete',
    journalSchema,
    pointOfNoReturn: 'forget',
    steps: [
      {
        name: 'forget',
        message: 'forgets it',
        timeoutMs: 30_000,
        run: (context) => forget(leader, context),
      },
      {
        name: 'remove',
        isRepeated: true,
        message: 'removes what lies beside the disks',
        timeoutMs: 600_000,
        run: async ({ journal: { vmId, snapshot } }) => {
          const vm = leader.index.state().vms.get(vmId)
          if (vm === undefined || snapshot === null || snapshot === undefined) return
          const { host, authority } = hostForDisks(leader, vm)
          await options.agents.removeSnapshot(host, { authority, snapshot })
        },
      },
      {
        name: 'merge',
        message: 'merges the layers that nothing needs any more',
        timeoutMs: 6 * 3_600_000,
        run: (context) => merge(leader, options, context),
      },
    ],
  })
}

/** Those that lay on it lie on its parent from now on; its own record is kept in the journal, for what follows. */
async function forget(
  leader: Leader,
  { journal, task }: StepContext<DeleteSnapshotJournal>,
): Promise<Partial<DeleteSnapshotJournal>> {
  const { vmId, snapshotId } = journal
  return untilCommitted(task.subject, async () => {
    const vm = leader.index.state().vms.get(vmId)
    const snapshot = leader.index.state().snapshots.get(snapshotId)
    if (vm === undefined || snapshot === undefined) return {}
    const refusal = refuseDelete(vm, snapshot)
    if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
    const children = snapshotsOf(leader.index.state(), vmId).filter(({ parentId }) => parentId === snapshotId)
    const isHere = vm.spec.basedOnSnapshotId === snapshotId
    const { parentId } = snapshot
    const key = keys.snapshot(snapshotId)
    // In the same transaction as the end of the record: a crash after it still knows what has to be removed.
    const journalKey = keys.task(task.id)
    const present = leader.index.state().tasks.get(task.id)
    const touched = [key, journalKey, keys.vm(vmId), keys.vmOperation(vmId), keys.vmChange(vmId)]
    const result = await commitAndSee(leader, {
      conditions: [...touched, ...children.map(({ id }) => keys.snapshot(id))].map((each) => unchanged(leader, each)),
      writes: [
        { kind: 'delete', key },
        put(journalKey, { ...present, journal: { ...journal, snapshot } }),
        ...children.map((child) => put(keys.snapshot(child.id), { ...child, parentId })),
        ...(isHere ? [put(keys.vm(vmId), { ...vm.spec, basedOnSnapshotId: parentId })] : []),
        leader.events.write({
          kind: 'vm.snapshot-deleted',
          subject: vm.spec.name,
          message: `${snapshot.name} was let go`,
          vmId,
          user: task.user,
        }),
      ],
    })
    return result.kind === 'committed' ? { snapshot } : undefined
  })
}

async function merge(
  leader: Leader,
  options: SnapshotSagaOptions,
  context: StepContext<DeleteSnapshotJournal>,
): Promise<void> {
  const { vmId } = context.journal
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) return
  const state = vm.status?.state ?? 'stopped'
  if (state === 'running' || state === 'paused') await mergeRunning(leader, options, context)
  // In any other state its host does it when it runs again.
  if (state === 'stopped') await mergeClosed(leader, options, context)
}

async function mergeRunning(
  leader: Leader,
  { agents }: SnapshotSagaOptions,
  { journal: { vmId }, signal, progress }: StepContext<DeleteSnapshotJournal>,
): Promise<void> {
  const ask = async (isCalledOff: boolean) => {
    const { host, authority, placement } = machineTarget(leader, vmId)
    return agents.tidyMachine(host, { vmId, authority, epoch: placement.epoch, waitMs: followMs, isCalledOff })
  }
  try {
    for (;;) {
      const tell = (why: string) => progress(0, why)
      const report = await untilAnswered(leader, { withinMs: busyForMs, signal, tell }, () => ask(false))
      if (report.isDone) return
      progress(fractionOf(report.detail), report.detail)
    }
  } catch (error) {
    if (signal.aborted && !leader.signal.aborted) await ask(true).catch(() => undefined)
    // It ended meanwhile, or runs elsewhere: whoever runs it next does the rest.
    const isGone = error instanceof DialtoneError && (error.code === 'not-found' || error.code === 'stale-epoch')
    if (!isGone) throw error
  }
}

function fractionOf(detail: string): number {
  return Number(/(\d+) %/.exec(detail)?.[1] ?? 0) / 100
}

async function mergeClosed(
  leader: Leader,
  { agents, epochFloor }: SnapshotSagaOptions,
  { journal: { vmId }, task, signal }: StepContext<DeleteSnapshotJournal>,
): Promise<void> {
  const isStopped = (state: string | undefined) => state === undefined || state === 'stopped'
  try {
    await openOperation(leader, {
      ...{ vmId, taskId: task.id, kind: 'merge', epochFloor },
      refuse: ({ spec, status, operation, migration }) =>
        isStopped(status?.state) && operation === undefined && migration === undefined
          ? undefined
          : { code: 'in-use', message: `${spec.name} is in use: its layers are merged later` },
    })
    const { host, order } = await closeDisks(leader, agents, { vmId, overlays: [], signal })
    const { overlays: _none, ...closed } = order
    await agents.tidyDisks(host, closed)
  } catch (error) {
    // Somebody works on it, or starts it: its host merges them while it runs.
    if (!(error instanceof DialtoneError) || error.code !== 'in-use') throw error
  } finally {
    if (!leader.signal.aborted) await closeOperation(leader, vmId, task.id)
  }
}
