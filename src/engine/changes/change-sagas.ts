/** Begins and ends a change: the snapshot that it may return to is taken before anything else, and let go when it is over. */
import { z } from 'zod'
import { describeChange } from '../../control/change/describe-change.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { vmIdSchema } from '../../model/ids.ts'
import { snapshotWishSchema } from '../../model/snapshots/snapshot.ts'
import { changeCheckSchema, type VmChange, vmConditionSchema } from '../../model/snapshots/vm-change.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { beginChild, untilChildEnded } from '../snapshots/child-task.ts'
import { requireVm } from '../snapshots/closed-disks.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { lookAtCondition, runCheck } from './look-at-condition.ts'

const beginJournalSchema = z.object({
  vmId: vmIdSchema,
  wish: snapshotWishSchema.omit({ sizesMiB: true, parentId: true }),
  checks: z.array(changeCheckSchema),
  watchedForMs: z.number().int(),
  isAuto: z.boolean(),
  before: vmConditionSchema.optional(),
})
export type BeginChangeJournal = z.infer<typeof beginJournalSchema>

const endJournalSchema = z.object({
  vmId: vmIdSchema,
  snapshotId: snapshotWishSchema.shape.id,
  /** `committed`: its owner is content. `reverted`: it went back, and all is as it was. */
  outcome: z.enum(['committed', 'reverted']),
})
export type EndChangeJournal = z.infer<typeof endJournalSchema>

const snapshotMs = 6 * 3_600_000

export function changeSagas(leader: Leader, agents: AgentPort, tasks: () => TaskRunner): readonly RunnableSaga[] {
  return [beginChangeSaga(leader, agents, tasks), endChangeSaga(leader, agents, tasks)]
}

function beginChangeSaga(leader: Leader, agents: AgentPort, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<BeginChangeJournal>({
    kind: 'vm.change-begin',
    journalSchema: beginJournalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'look',
        message: 'looks how it is, and whether the checks end well',
        timeoutMs: 60_000,
        run: async ({ journal: { vmId, checks } }) => {
          for (const check of checks) {
            const exitCode = await runCheck(leader, agents, { vmId, check })
            if (exitCode === 0) continue
            const how = exitCode === null ? 'could not be run in the guest' : `ended with ${exitCode}`
            throw new DialtoneError('wrong-state', `the check '${check}' ${how}, before anything was changed`)
          }
          return { before: await lookAtCondition(leader, agents, vmId) }
        },
      },
      {
        name: 'snapshot',
        message: 'takes the snapshot that it may return to',
        timeoutMs: snapshotMs,
        run: (context) => takeSnapshot(leader, tasks(), context),
      },
      {
        name: 'enter',
        isRepeated: true,
        message: 'begins to watch it',
        timeoutMs: 30_000,
        run: (context) => enterChange(leader, context),
      },
    ],
  })
}

async function takeSnapshot(
  leader: Leader,
  tasks: TaskRunner,
  { journal: { vmId, wish }, task, signal, progress }: StepContext<BeginChangeJournal>,
): Promise<void> {
  if (leader.index.state().snapshots.has(wish.id)) return
  const child = await beginChild(leader, tasks, {
    ...{ kind: 'vm.snapshot', subject: task.subject, user: task.user, vmId, journal: { vmId, wish } },
    isOwn: ({ journal }) => JSON.stringify(journal).includes(wish.id),
  })
  await untilChildEnded(leader, child, { signal, tell: (its) => progress(its.progress, its.message) })
}

async function enterChange(leader: Leader, { journal, task }: StepContext<BeginChangeJournal>): Promise<object> {
  const { vmId, wish, checks, watchedForMs, isAuto, before } = journal
  if (before === undefined) throw new DialtoneError('internal', 'nobody looked how it was before')
  const watchedUntil = new Date(leader.clock.wallTime().getTime() + watchedForMs).toISOString()
  await untilCommitted(task.subject, async () => {
    const vm = requireVm(leader, vmId)
    if (vm.change?.snapshotId === wish.id) return true
    if (vm.change !== undefined) throw new DialtoneError('in-use', `a change of ${vm.spec.name} is open already`)
    const begunBy = task.user
    const change: VmChange = {
      ...{ snapshotId: wish.id, before, checks, watchedUntil, isAuto, begunBy, worse: null, revertTaskId: null },
    }
    const event = leader.events.write({
      kind: 'vm.change-begun',
      subject: vm.spec.name,
      message: `watched until ${watchedUntil}${isAuto ? ', and taken back by itself if it gets worse' : ''}`,
      vmId,
      user: task.user,
    })
    const key = keys.vmChange(vmId)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [put(key, change), event],
    })
    return result.kind === 'committed' ? true : undefined
  })
  return { summary: `change it now; it can go back until dialtone vm change commit ${task.subject}` }
}

function endChangeSaga(leader: Leader, agents: AgentPort, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<EndChangeJournal>({
    kind: 'vm.change-end',
    journalSchema: endJournalSchema,
    pointOfNoReturn: 'end',
    steps: [
      {
        name: 'end',
        isRepeated: true,
        message: 'ends the watch',
        timeoutMs: 60_000,
        run: (context) => endChange(leader, agents, context),
      },
      {
        name: 'let-go',
        message: 'lets the snapshot go',
        timeoutMs: snapshotMs,
        run: async ({ journal: { vmId, snapshotId }, task, signal, progress }) => {
          if (!leader.index.state().snapshots.has(snapshotId)) return
          const child = await beginChild(leader, tasks(), {
            ...{ kind: 'vm.snapshot-delete', subject: task.subject, user: task.user, vmId },
            journal: { vmId, snapshotId },
            isOwn: ({ journal }) => JSON.stringify(journal).includes(snapshotId),
          })
          await untilChildEnded(leader, child, { signal, tell: (its) => progress(its.progress, its.message) })
        },
      },
    ],
  })
}

async function endChange(
  leader: Leader,
  agents: AgentPort,
  { journal: { vmId, snapshotId, outcome }, task }: StepContext<EndChangeJournal>,
): Promise<object> {
  const { change } = leader.index.state().vms.get(vmId) ?? {}
  if (change?.snapshotId !== snapshotId) return {}
  const sentences = describeChange(change.before, await lookAtCondition(leader, agents, vmId))
  const summary = `${outcome}: ${sentences.join('; ')}`
  await untilCommitted(task.subject, async () => {
    const vm = leader.index.state().vms.get(vmId)
    if (vm?.change?.snapshotId !== snapshotId) return true
    const { name } = vm.spec
    const event = leader.events.write({
      ...{ kind: `vm.change-${outcome}`, subject: name, message: sentences.join('; '), vmId, user: task.user },
    })
    const key = keys.vmChange(vmId)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [{ kind: 'delete', key }, event],
    })
    return result.kind === 'committed' ? true : undefined
  })
  return { summary }
}
