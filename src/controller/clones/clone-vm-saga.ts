/** Clones a running machine from its memory: one capture, then as many new machines as are wanted, all at the same time. */
import { z } from 'zod'
import type { VmWish } from '../../control/admit-vm.ts'
import type { AgentPort } from '../../engine/agent-port.ts'
import type { Leader } from '../../engine/leader.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type TaskId, type VmId, vmIdSchema } from '../../model/ids.ts'
import { type CloneOrigin, cloneOriginSchema } from '../../model/machine-order.ts'
import { nicsOf } from '../../model/network.ts'
import type { VmSpec } from '../../model/vm.ts'
import { captureTemplateImage } from './capture-template-image.ts'
import { enterVm } from './enter-vm.ts'

export const cloneWishSchema = z.object({
  names: z.array(z.string()).min(1),
  ha: z.boolean(),
  recovery: z.custom<VmSpec['recovery']>(),
  drillable: z.boolean(),
})

const journalSchema = z.object({
  vmId: vmIdSchema,
  wish: cloneWishSchema,
  user: z.string(),
  /** Known from the start for clones of a template. */
  origin: cloneOriginSchema.nullable(),
})
type Journal = z.infer<typeof journalSchema>

/** `tasks`: made after the sagas that it runs, so it is asked for when it is needed. */
export function cloneVmSaga(leader: Leader, agents: AgentPort, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'vm.clone',
    journalSchema,
    pointOfNoReturn: 'make',
    steps: [
      {
        name: 'capture',
        message: 'captures the memory of the machine while it runs',
        timeoutMs: 600_000,
        run: async ({ journal }) => ({
          origin: journal.origin ?? (await captureTemplateImage(leader, agents, journal.vmId)),
        }),
      },
      {
        name: 'make',
        message: 'makes the clones',
        timeoutMs: 600_000,
        run: (context) => makeClones(leader, tasks(), context),
      },
    ],
  })
}

async function makeClones(
  leader: Leader,
  tasks: TaskRunner,
  { journal, signal, progress }: StepContext<Journal>,
): Promise<void> {
  const { origin, wish, user } = journal
  const source = leader.index.state().vms.get(journal.vmId)?.spec
  if (source === undefined) throw new DialtoneError('not-found', 'the machine that is cloned was deleted')
  if (origin === null) throw new DialtoneError('internal', 'nothing was captured')
  const made: (TaskId | undefined)[] = []
  const refusals: unknown[] = []
  for (const name of wish.names) {
    // Done again after a crash: a clone that was entered before is the one that was meant.
    const present = findClone(leader, name, origin)
    if (present !== undefined) made.push(taskThatMakes(leader, present))
    else {
      await enterVm({ leader, tasks }, wishFor(source, { name, wish, origin }), user).then(
        ({ task }) => made.push(task.id),
        (error: unknown) => refusals.push(error),
      )
    }
    // What has been entered is made all the same, and waited for.
    if (refusals.length > 0) break
  }
  for (;;) {
    signal.throwIfAborted()
    const states = made.map((taskId) => (taskId === undefined ? undefined : leader.index.state().tasks.get(taskId)))
    const ended = states.filter((task) => task === undefined || task.endedAt !== null)
    progress(ended.length / Math.max(1, made.length), `${ended.length} of ${made.length} clones run`)
    const failed = states.find((task) => task?.state === 'failed' || task?.state === 'cancelled')
    if (ended.length === made.length) {
      if (failed !== undefined)
        throw new DialtoneError('hypervisor-failed', `${failed.subject}: ${failed.error?.message ?? failed.state}`)
      if (refusals.length > 0) throw refusals[0]
      return
    }
    await leader.clock.sleep(20, signal)
  }
}

/** The machine of this name, if it was made from this image; one of another origin has only the name in common. */
function findClone(leader: Leader, name: string, { imageId }: CloneOrigin): VmId | undefined {
  const { vms, volumes } = leader.index.state()
  const spec = [...vms.values()].find((vm) => vm.spec.name === name)?.spec
  const root = spec?.disks[0]
  return root !== undefined && volumes.get(root.volumeId)?.baseVersion === imageId ? spec?.id : undefined
}

function taskThatMakes(leader: Leader, vmId: VmId): TaskId | undefined {
  return [...leader.index.state().tasks.values()].find((task) => task.kind === 'vm.create' && task.vmId === vmId)?.id
}

function wishFor(
  source: VmSpec,
  {
    name,
    wish,
    origin,
  }: { readonly name: string; readonly wish: Journal['wish']; readonly origin: NonNullable<Journal['origin']> },
): VmWish {
  return {
    name,
    template: source.templateVersion,
    cpus: source.cpus,
    memoryMiB: source.memoryMiB,
    storage: origin.storageId,
    disks: [],
    networks: nicsOf(source).map(({ networkId }) => ({ network: networkId })),
    ha: wish.ha,
    autostart: true,
    startOrder: source.startOrder,
    start: true,
    extraCommandLine: source.extraCommandLine,
    recovery: wish.recovery,
    probe: source.probe,
    drillable: wish.drillable,
    securityGroupIds: source.securityGroupIds,
    placementRules: source.placementRules,
    origin: { clonedFrom: origin, hardware: source.hardware, rootDiskMiB: source.disks[0]?.sizeMiB ?? 1 },
  }
}
