/** Captures a template's warm image: a machine of it is made and booted, captured when it serves, and kept, switched off, with the image. */
import { z } from 'zod'
import type { AgentPort } from '../../engine/agent-port.ts'
import { commitAndSee, type Leader, put, unchanged } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import { waitForVm } from '../../engine/vms/wait-for-vm.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { templateIdSchema, vmIdSchema } from '../../model/ids.ts'
import { cloneOriginSchema } from '../../model/machine-order.ts'
import type { VmSpec } from '../../model/vm.ts'
import { captureTemplateImage } from './capture-template-image.ts'
import { enterVm } from './enter-vm.ts'

const journalSchema = z.object({
  templateId: templateIdSchema,
  name: z.string(),
  cpus: z.number().int().optional(),
  memoryMiB: z.number().int().optional(),
  user: z.string(),
  vmId: vmIdSchema.nullable(),
  origin: cloneOriginSchema.nullable(),
})
type Journal = z.infer<typeof journalSchema>

export function warmTemplateSaga(leader: Leader, agents: AgentPort, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'template.warm',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'make',
        message: 'makes a machine of the template',
        timeoutMs: 600_000,
        run: (context) => makeMachine(leader, tasks(), context),
        undo: (context) => removeMachine(leader, tasks(), context),
      },
      {
        name: 'serve',
        message: 'waits until it serves',
        timeoutMs: 300_000,
        run: async ({ journal, signal }) => {
          await waitForVm(leader, vmOf(journal), { signal, condition: serves })
        },
      },
      {
        name: 'capture',
        attempts: 5,
        message: 'captures its memory',
        timeoutMs: 600_000,
        run: async ({ journal }) => ({ origin: await captureTemplateImage(leader, agents, vmOf(journal)) }),
      },
      {
        name: 'enter',
        isRepeated: true,
        message: 'enters the image',
        timeoutMs: 30_000,
        run: (context) => enterImage(leader, context),
      },
    ],
  })
}

async function makeMachine(
  leader: Leader,
  tasks: TaskRunner,
  context: StepContext<Journal>,
): Promise<Partial<Journal>> {
  const { journal } = context
  const template = leader.index.state().templates.get(journal.templateId)
  if (template === undefined) throw new DialtoneError('not-found', 'the template is gone')
  const existing = findOwn(leader, context)
  if (existing !== undefined) return { vmId: existing.id }
  const { spec } = await enterVm(
    { leader, tasks },
    {
      name: journal.name,
      template: template.version,
      cpus: journal.cpus,
      memoryMiB: journal.memoryMiB,
      disks: [],
      ha: false,
      autostart: false,
      startOrder: 1000,
      start: true,
      extraCommandLine: '',
      recovery: { mode: 'boot' },
      drillable: false,
    },
    journal.user,
  )
  return { vmId: spec.id }
}

/** The machine that this task has entered, also when a crash kept it from being noted; not another one that took the name. */
function findOwn(leader: Leader, { journal, task }: StepContext<Journal>): VmSpec | undefined {
  const own = [...leader.index.state().vms.values()].find(({ spec }) => spec.name === journal.name)?.spec
  const isOwn = own?.templateId === journal.templateId && own.createdAt >= task.createdAt
  return isOwn ? own : undefined
}

/** Without an image of it nobody needs the machine: it is deleted, by a task of its own. */
async function removeMachine(leader: Leader, tasks: TaskRunner, context: StepContext<Journal>): Promise<void> {
  const spec = findOwn(leader, context)
  if (spec === undefined || spec.lifecycle === 'deleting') return
  if (spec.lifecycle === 'creating') {
    const making = [...leader.index.state().tasks.values()].find(
      (task) => task.kind === 'vm.create' && task.vmId === spec.id,
    )
    if (making !== undefined) await tasks.cancel(making.id)
    return
  }
  const { user } = context.journal
  const { task, write } = tasks.prepare({
    kind: 'vm.delete',
    subject: spec.name,
    user,
    vmId: spec.id,
    journal: { vmId: spec.id },
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, keys.vm(spec.id))],
    writes: [put(keys.vm(spec.id), { ...spec, lifecycle: 'deleting', desired: 'stopped', stopMode: 'kill' }), write],
  })
  if (result.kind === 'conflict') throw new DialtoneError('conflict', `${spec.name} was changed meanwhile`)
  tasks.begin(task.id)
}

const serves: Parameters<typeof waitForVm>[2]['condition'] = (vm) => {
  if (vm === undefined) return new DialtoneError('not-found', 'the machine was deleted')
  if (vm.status?.state === 'failed')
    return new DialtoneError('hypervisor-failed', `${vm.spec.name} failed: ${vm.status.detail}`)
  return vm.status?.state === 'running' && vm.status.recovery?.service === 'correct' ? 'yes' : 'not-yet'
}

/** The template has the image from now on, and the machine is switched off: its volume keeps the image. */
async function enterImage(leader: Leader, { journal }: StepContext<Journal>): Promise<void> {
  const vmId = vmOf(journal)
  const { templates, vms } = leader.index.state()
  const template = templates.get(journal.templateId)
  const spec = vms.get(vmId)?.spec
  if (template === undefined || spec === undefined || journal.origin === null)
    throw new DialtoneError('not-found', 'the template or its machine is gone')
  const warm = { ...journal.origin, vmId, cpus: spec.cpus, memoryMiB: spec.memoryMiB }
  const event = leader.events.write({
    kind: 'template.warmed',
    subject: template.name,
    message: `image ${journal.origin.imageId}, kept by the machine ${spec.name}`,
    vmId,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, keys.template(template.id)), unchanged(leader, keys.vm(vmId))],
    writes: [
      put(keys.template(template.id), { ...template, warm }),
      put(keys.vm(vmId), { ...spec, desired: 'stopped', stopMode: 'kill' }),
      event,
    ],
  })
  if (result.kind === 'conflict')
    throw new DialtoneError('conflict', 'the template or its machine was changed meanwhile')
}

function vmOf({ vmId }: Journal): NonNullable<Journal['vmId']> {
  if (vmId === null) throw new DialtoneError('internal', 'the machine was not made')
  return vmId
}
