/**
 * Snapshots of several machines at one instant: all of them are held still, and only when the last one stands does each take its snapshot
 * and go on. If one can't be held in time, all go on and none is taken.
 */
import { z } from 'zod'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import { snapshotWishSchema } from '../../model/snapshots/snapshot.ts'
import type { Leader } from '../leader.ts'
import { machineTarget } from '../order-target.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { beginChild, untilChildEnded } from './child-task.ts'
import type { SnapshotSagaOptions } from './take-snapshot-saga.ts'

const wishSchema = snapshotWishSchema.omit({ sizesMiB: true, parentId: true })

const journalSchema = z.object({
  members: z.array(z.object({ vmId: vmIdSchema, name: z.string(), wish: wishSchema })).min(2),
})
export type SnapshotSetJournal = z.infer<typeof journalSchema>

/** How long a machine may stand still for the others. */
const heldForMs = 5_000
const longestMs = 6 * 3_600_000

export function snapshotSetSaga(leader: Leader, options: SnapshotSagaOptions, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<SnapshotSetJournal>({
    kind: 'snapshot-set',
    journalSchema,
    pointOfNoReturn: 'none',
    steps: [
      {
        name: 'take',
        message: 'holds the machines still and takes their snapshots',
        timeoutMs: longestMs,
        run: (context) => takeSet(leader, options, { ...context, tasks: tasks() }),
        undo: (context) => removeTaken(leader, tasks(), context),
      },
    ],
  })
}

type SetContext = StepContext<SnapshotSetJournal> & { readonly tasks: TaskRunner }

async function takeSet(leader: Leader, options: SnapshotSagaOptions, context: SetContext): Promise<object> {
  const { members } = context.journal
  await holdAll(leader, options, members)
  try {
    const children = []
    for (const { vmId, name, wish } of members)
      children.push(
        await beginChild(leader, context.tasks, {
          kind: 'vm.snapshot',
          subject: name,
          user: context.task.user,
          vmId,
          journal: { vmId, wish },
          isOwn: ({ journal }) => JSON.stringify(journal).includes(wish.id),
        }),
      )
    const tell = () => context.progress(0.5, 'takes their snapshots')
    for (const child of children) await untilChildEnded(leader, child, { signal: context.signal, tell })
  } finally {
    await letAllGo(leader, options, members)
  }
  return { summary: `${members.map(({ name }) => name).join(', ')} at one instant` }
}

/** Throws when one of them can't be; then none is held. */
async function holdAll(
  leader: Leader,
  { agents }: SnapshotSagaOptions,
  members: SnapshotSetJournal['members'],
): Promise<void> {
  const hold = async (vmId: VmId) => {
    const { host, authority, placement } = machineTarget(leader, vmId)
    await agents.holdMachine(host, { vmId, authority, epoch: placement.epoch, forMs: heldForMs })
  }
  const held = await Promise.allSettled(members.map(({ vmId }) => hold(vmId)))
  const failed = held.findIndex(({ status }) => status === 'rejected')
  if (failed < 0) return
  await letAllGo(leader, { agents }, members)
  const why = held[failed]?.status === 'rejected' ? messageOf(held[failed].reason) : ''
  throw new DialtoneError(
    'wrong-state',
    `no snapshot was taken: ${members[failed]?.name} could not be held still with the others: ${why}`,
  )
}

/** Each goes on by itself when its time is over; this only spares it the wait. */
async function letAllGo(
  leader: Leader,
  { agents }: Pick<SnapshotSagaOptions, 'agents'>,
  members: SnapshotSetJournal['members'],
): Promise<void> {
  await Promise.allSettled(
    members.map(async ({ vmId }) => {
      const { host, authority, placement } = machineTarget(leader, vmId)
      await agents.holdMachine(host, { vmId, authority, epoch: placement.epoch, forMs: 0 })
    }),
  )
}

/** A set is whole or it is not there. */
async function removeTaken(
  leader: Leader,
  tasks: TaskRunner,
  { journal, task, signal }: StepContext<SnapshotSetJournal>,
): Promise<void> {
  const { tasks: all } = leader.index.state()
  const ids = new Set<string>(journal.members.map(({ wish }) => wish.id))
  const isOfSet = (text: string) => [...ids].some((id) => text.includes(id))
  for (const child of all.values())
    if (child.kind === 'vm.snapshot' && child.endedAt === null && isOfSet(JSON.stringify(child.journal)))
      await untilChildEnded(leader, child.id, { signal, tell: () => undefined }).catch(() => undefined)
  for (const { vmId, name, wish } of journal.members) {
    if (!leader.index.state().snapshots.has(wish.id)) continue
    await beginChild(leader, tasks, {
      ...{ kind: 'vm.snapshot-delete', subject: name, user: task.user, vmId },
      journal: { vmId, snapshotId: wish.id },
      isOwn: (its) => JSON.stringify(its.journal).includes(wish.id),
    })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
