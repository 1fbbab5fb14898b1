/**
 * Clones several machines, of one instant, into one network: the network is made, their disks are kept by snapshots of that instant, each is
 * cloned by a task of its own, and the snapshots go again. In the end there is the whole set, or nothing of it.
 */
import { z } from 'zod'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { beginChild, untilChildEnded } from '../../engine/snapshots/child-task.ts'
import { keys } from '../../engine/state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import { isRunning } from '../../engine/vms/create-vm.ts'
import { waitForVm } from '../../engine/vms/wait-for-vm.ts'
import { createNetworkSchema } from '../../model/api/network-routes.ts'
import type { Task } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { ipv4AddressSchema } from '../../model/hardware.ts'
import { nameSchema, networkIdSchema, snapshotIdSchema, type TaskId, vmIdSchema } from '../../model/ids.ts'
import { changedTags, tagSchema } from '../../model/tags.ts'
import type { VmSpec } from '../../model/vm.ts'
import { enterNetwork, removeNetwork } from '../handlers/enter-network.ts'
import { type CloneDisksJournal, findClone } from './clone-disks-saga.ts'
import { forgetInstant } from './instant.ts'

const memberSchema = z.object({
  /** Its origin. */
  vmId: vmIdSchema,
  originName: nameSchema,
  name: nameSchema,
  address: ipv4AddressSchema,
  snapshotId: snapshotIdSchema,
})
type Member = z.infer<typeof memberSchema>

const journalSchema = z.object({
  members: z.array(memberSchema).min(1),
  networkId: networkIdSchema,
  /** Null: it was there before. */
  network: createNetworkSchema.nullable(),
  tag: tagSchema,
  start: z.boolean(),
  user: z.string(),
  summary: z.string().optional(),
})
export type CloneSetJournal = z.infer<typeof journalSchema>
type Context = StepContext<CloneSetJournal>

const longestMs = 6 * 3_600_000

export function cloneSetSaga(leader: Leader, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<CloneSetJournal>({
    kind: 'clone-set',
    journalSchema,
    pointOfNoReturn: 'release',
    steps: [
      {
        name: 'network',
        message: 'makes their network',
        timeoutMs: 30_000,
        run: async ({ journal: { network, networkId, user } }) => {
          if (network === null || leader.index.state().networks.has(networkId)) return
          await enterNetwork(leader, network, { id: networkId, user })
        },
        undo: async ({ journal: { network, networkId, user } }) => {
          const made = leader.index.state().networks.get(networkId)
          if (network !== null && made !== undefined) await removeNetwork(leader, made, user)
        },
      },
      {
        name: 'keep',
        message: 'keeps their disks of one instant',
        timeoutMs: 1_200_000,
        run: (context) => keepSet(leader, tasks(), context),
        undo: (context) => forgetSet(leader, tasks(), context),
      },
      {
        name: 'clone',
        message: 'clones them',
        timeoutMs: longestMs,
        run: (context) => cloneAll(leader, tasks(), context),
        undo: (context) => removeAll(leader, tasks(), context),
      },
      {
        name: 'release',
        isRepeated: true,
        message: 'lets their origins’ disks go on',
        timeoutMs: 600_000,
        run: async (context) => {
          const { members, tag, start, networkId } = context.journal
          for (const member of members) await mark(leader, context, { member, tag, start })
          await forgetSet(leader, tasks(), context)
          const network = leader.index.state().networks.get(networkId)?.name ?? 'flat'
          const names = members.map(({ name, originName }) => `${name} (of ${originName})`)
          return { summary: `${names.join(', ')} in ${network}, with the addresses of their origins; tag ${tag}` }
        },
      },
      {
        name: 'run',
        message: 'waits until they are up',
        timeoutMs: 300_000,
        run: async ({ journal: { members, start }, task, signal }) => {
          const clones = start ? members.flatMap((member) => findClone(leader, member, task) ?? []) : []
          for (const vmId of clones) await waitForVm(leader, vmId, { signal, condition: isRunning })
        },
      },
    ],
  })
}

/** Those that run stand still together for it; one that is off is the same in every instant. */
async function keepSet(leader: Leader, tasks: TaskRunner, context: Context): Promise<void> {
  const { members, tag } = context.journal
  const { snapshots, vms } = leader.index.state()
  const lacking = members.filter(({ snapshotId }) => !snapshots.has(snapshotId))
  const wishOf = ({ snapshotId }: Member) => ({
    ...{ id: snapshotId, name: `for-${snapshotId.slice('snap-'.length)}`, note: `what a clone of ${tag} begins with` },
    ...{ kind: 'disk', origin: 'clone', setId: null, isProtected: false, freeze: 'if-able' },
  })
  const isUp = ({ vmId }: Member) => ['running', 'paused'].includes(vms.get(vmId)?.status?.state ?? 'stopped')
  const together = members.filter(isUp)
  const children: TaskId[] = []
  // One instant for all: a part of a set that a crash has cut is of another one.
  if (together.length > 1 && together.some((member) => lacking.includes(member)))
    children.push(
      await beginChild(leader, tasks, {
        ...{ kind: 'snapshot-set', subject: context.task.subject, user: context.task.user },
        journal: {
          members: together.map((member) => ({ vmId: member.vmId, name: member.originName, wish: wishOf(member) })),
        },
        isOwn: (its) => together.some(({ snapshotId }) => JSON.stringify(its.journal).includes(snapshotId)),
      }),
    )
  for (const member of lacking.filter((one) => together.length < 2 || !together.includes(one)))
    children.push(
      await beginChild(leader, tasks, {
        ...{ kind: 'vm.snapshot', subject: member.originName, user: context.task.user, vmId: member.vmId },
        journal: { vmId: member.vmId, wish: wishOf(member) },
        isOwn: (its) => JSON.stringify(its.journal).includes(member.snapshotId),
      }),
    )
  await untilAll(leader, children, context)
}

async function untilAll(leader: Leader, children: readonly TaskId[], { signal, progress }: Context): Promise<void> {
  for (const [index, child] of children.entries())
    await untilChildEnded(leader, child, {
      signal,
      tell: (its) => progress((index + its.progress) / children.length, `${its.subject}: ${its.message}`),
    })
}

async function forgetSet(leader: Leader, tasks: TaskRunner, { journal, task }: Context): Promise<void> {
  const taking = [...leader.index.state().tasks.values()].find(
    (its) => its.kind === 'snapshot-set' && its.endedAt === null && isAbout(its, journal.members),
  )
  if (taking !== undefined) {
    await tasks.cancel(taking.id)
    throw new DialtoneError('in-use', 'their snapshots are still being taken')
  }
  for (const { vmId, snapshotId } of journal.members)
    await forgetInstant(leader, tasks, { task, journal: { vmId, snapshotId, isOwnSnapshot: true } })
}

function isAbout({ journal }: Task, members: readonly Member[]): boolean {
  const text = JSON.stringify(journal)
  return members.some(({ snapshotId }) => text.includes(snapshotId))
}

async function cloneAll(leader: Leader, tasks: TaskRunner, context: Context): Promise<void> {
  const { members, networkId, user } = context.journal
  const children: TaskId[] = []
  for (const { vmId, originName, name, address, snapshotId } of members) {
    const journal: CloneDisksJournal = {
      ...{ vmId, name, snapshotId, isOwnSnapshot: false, isFull: false, start: false },
      ...{ networkId, address, user },
    }
    children.push(
      await beginChild(leader, tasks, {
        ...{ kind: 'vm.clone-disks', subject: originName, user, vmId, journal },
        isOwn: (its) => JSON.stringify(its.journal).includes(snapshotId),
      }),
    )
  }
  await untilAll(leader, children, context)
}

/** Clones that are being made are called off, and those that are there are deleted; resolves when none of them is left. */
async function removeAll(leader: Leader, tasks: TaskRunner, context: Context): Promise<void> {
  const { journal, task, signal } = context
  const making = [...leader.index.state().tasks.values()].filter(
    (its) => its.kind === 'vm.clone-disks' && its.endedAt === null && isAbout(its, journal.members),
  )
  for (const its of making) await tasks.cancel(its.id)
  if (making.length > 0) throw new DialtoneError('in-use', 'its clones are still being undone')
  for (const member of journal.members) {
    const vmId = findClone(leader, member, task)
    const spec = vmId === undefined ? undefined : leader.index.state().vms.get(vmId)?.spec
    if (vmId === undefined || spec === undefined) continue
    if (spec.lifecycle === 'live') await giveUp(leader, spec)
    const child = await beginChild(leader, tasks, {
      ...{ kind: 'vm.delete', subject: spec.name, user: journal.user, vmId, journal: { vmId } },
      isOwn: (its) => its.vmId === vmId && its.endedAt === null,
    })
    await untilChildEnded(leader, child, { signal, tell: () => undefined })
  }
}

async function giveUp(leader: Leader, spec: VmSpec): Promise<void> {
  const key = keys.vm(spec.id)
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, key)],
    writes: [put(key, { ...spec, lifecycle: 'deleting', desired: 'stopped', stopMode: 'kill' })],
  })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', `${spec.name} was changed meanwhile`)
}

/** What is the set's is found by its tag; and it is wanted running from now on, where that was asked for. */
async function mark(
  leader: Leader,
  { task }: Context,
  { member, tag, start }: { readonly member: Member; readonly tag: string; readonly start: boolean },
): Promise<void> {
  await untilCommitted(member.name, async () => {
    const vmId = findClone(leader, member, task)
    const spec = vmId === undefined ? undefined : leader.index.state().vms.get(vmId)?.spec
    // Its owner may have deleted it meanwhile, or has stopped it since a crash came between.
    if (spec === undefined || spec.tags.includes(tag)) return true
    const tags = changedTags(spec.tags, { add: [tag], remove: [] })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(spec.id))],
      writes: [put(keys.vm(spec.id), { ...spec, tags, ...(start ? { desired: 'running' } : {}) })],
    })
    return result.kind === 'committed' ? true : undefined
  })
}
