/**
 * Takes a snapshot of a machine: while it runs, by its host; while it is off, by any host that has its storages and has claimed its disks.
 * In the end there is the record and all that belongs to it, or nothing.
 */
import { z } from 'zod'
import { refuseSnapshot } from '../../control/snapshots/admit-snapshot.ts'
import { layerIdSchema, vmIdSchema, volumeIdSchema } from '../../model/ids.ts'
import { type Snapshot, snapshotSchema, snapshotWishSchema } from '../../model/snapshots/snapshot.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { machineTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { untilAnswered } from './ask-again.ts'
import { closeDisks, hostForDisks, planOverlays, requireVm } from './closed-disks.ts'
import { closeOperation, openOperation } from './vm-operations.ts'

export const overlaysSchema = z.array(z.object({ volumeId: volumeIdSchema, layerId: layerIdSchema }))

const journalSchema = z.object({
  vmId: vmIdSchema,
  wish: snapshotWishSchema.omit({ sizesMiB: true, parentId: true }),
  overlays: overlaysSchema.optional(),
  isClosed: z.boolean().optional(),
  snapshot: snapshotSchema.optional(),
})
export type TakeSnapshotJournal = z.infer<typeof journalSchema>

export type SnapshotSagaOptions = { readonly agents: AgentPort; epochFloor(): number }

const busyForMs = 180_000
const longestMs = 6 * 3_600_000
const followMs = 500

export function takeSnapshotSaga(leader: Leader, options: SnapshotSagaOptions): RunnableSaga {
  const { agents } = options
  return defineSaga<TakeSnapshotJournal>({
    kind: 'vm.snapshot',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'open',
        message: 'looks whether it can be taken',
        timeoutMs: 30_000,
        run: async ({ journal: { vmId, wish }, task }) => {
          const operation = await openOperation(leader, {
            vmId,
            taskId: task.id,
            kind: 'snapshot',
            epochFloor: options.epochFloor,
            refuse: (vm) => refuseSnapshot(leader.index.state(), vm, wish),
          })
          const overlays = [...planOverlays(requireVm(leader, vmId).spec, leader)]
          return { overlays, isClosed: operation.needsClosed }
        },
        undo: ({ journal, task }) => closeOperation(leader, journal.vmId, task.id),
      },
      {
        name: 'take',
        message: 'takes it',
        timeoutMs: longestMs,
        run: async (context) => ({
          snapshot: await (context.journal.isClosed === true
            ? takeClosed(leader, agents, context)
            : takeRunning(leader, agents, context)),
        }),
        undo: (context) => takeAway(leader, agents, context.journal),
      },
      {
        name: 'enter',
        isRepeated: true,
        message: 'enters it',
        timeoutMs: 30_000,
        run: (context) => enter(leader, context),
      },
    ],
  })
}

async function takeRunning(
  leader: Leader,
  agents: AgentPort,
  { journal: { vmId, wish }, signal, progress }: StepContext<TakeSnapshotJournal>,
): Promise<Snapshot> {
  const tell = (why: string) => progress(0.1, why)
  for (;;) {
    const report = await untilAnswered(leader, { withinMs: busyForMs, signal, tell }, async () => {
      const { host, authority, placement } = machineTarget(leader, vmId)
      const order = { vmId, authority, epoch: placement.epoch, wish: wishOf(leader, vmId, wish), waitMs: followMs }
      return agents.snapshotMachine(host, order)
    })
    if (report.snapshot !== null) return report.snapshot
    progress(0.5, report.detail)
  }
}

async function takeClosed(
  leader: Leader,
  agents: AgentPort,
  { journal: { vmId, wish, overlays = [] }, signal, progress }: StepContext<TakeSnapshotJournal>,
): Promise<Snapshot> {
  const tell = (why: string) => progress(0.1, why)
  return untilAnswered(leader, { withinMs: busyForMs, signal, tell }, async () => {
    const { host, order } = await closeDisks(leader, agents, { vmId, overlays, signal })
    return agents.snapshotDisks(host, { ...order, wish: wishOf(leader, vmId, wish) })
  })
}

/** What its state descends from, and how large its disks are, is what they are while the operation is open. */
function wishOf(leader: Leader, vmId: TakeSnapshotJournal['vmId'], wish: TakeSnapshotJournal['wish']) {
  const { spec } = requireVm(leader, vmId)
  return { ...wish, parentId: spec.basedOnSnapshotId, sizesMiB: spec.disks.map(({ sizeMiB }) => sizeMiB) }
}

/** It may have been taken, though nobody heard of it. */
async function takeAway(leader: Leader, agents: AgentPort, { vmId, wish }: TakeSnapshotJournal): Promise<void> {
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) return
  const { host, authority } = hostForDisks(leader, vm)
  const disks = vm.spec.disks.map(({ volumeId, storageId }) => ({ volumeId, storageId }))
  await agents.removeSnapshot(host, { authority, snapshot: { id: wish.id, vmId, disks } })
}

async function enter(leader: Leader, { journal, task }: StepContext<TakeSnapshotJournal>): Promise<object> {
  const { vmId, snapshot } = journal
  if (snapshot === undefined) return {}
  await untilCommitted(task.subject, async () => {
    const vm = leader.index.state().vms.get(vmId)
    // It was deleted meanwhile, and all that lay beside its disks with it.
    if (vm === undefined || leader.index.state().snapshots.has(snapshot.id)) return true
    const event = leader.events.write({
      kind: 'vm.snapshot-taken',
      subject: vm.spec.name,
      message: describe(snapshot),
      vmId,
      user: task.user,
    })
    const result = await commitAndSee(leader, {
      conditions: [keys.vm(vmId), keys.vmOperation(vmId)].map((key) => unchanged(leader, key)),
      writes: [
        put(keys.snapshot(snapshot.id), snapshot),
        put(keys.vm(vmId), { ...vm.spec, basedOnSnapshotId: snapshot.id }),
        { kind: 'delete', key: keys.vmOperation(vmId) },
        event,
      ],
    })
    return result.kind === 'committed' ? true : undefined
  })
  return { summary: describe(snapshot) }
}

function describe({ name, consistency, pauseMs }: Snapshot): string {
  const how = {
    memory: 'memory and disks of one instant',
    'guest-frozen': 'its disks, with the file systems in order',
    crash: 'its disks, as after a power cut',
    stopped: 'its disks, while it was off',
  } as const
  const pause = pauseMs > 0 ? `, it stood still for ${Math.round(pauseMs)} ms` : ''
  return `${name}: ${how[consistency]}${pause}`
}
