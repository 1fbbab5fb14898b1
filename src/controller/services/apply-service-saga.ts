/**
 * Makes a service as its file says. What is to be done is planned anew after each step, from what is there: a controller that was killed
 * in the middle goes on with what is left, and an application that failed can be repeated.
 */
import { z } from 'zod'
import { planService } from '../../control/services/plan-service.ts'
import { memberHealth, membersOf } from '../../control/services/service-status.ts'
import { wavesOf } from '../../control/services/start-waves.ts'
import type { Leader } from '../../engine/leader.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { type ServiceId, serviceIdSchema, type TaskId } from '../../model/ids.ts'
import type { ServiceRecord } from '../../model/service/service.ts'
import { carryOutStep } from './member-works.ts'

const journalSchema = z.object({ serviceId: serviceIdSchema, prune: z.boolean() })
type Journal = z.infer<typeof journalSchema>

const longestMs = 4 * 3_600_000
/** How long the components of a wave may take until they serve, from when the last of them runs. */
const waveServesWithinMs = 300_000
const lookAgainMs = 20

export function applyServiceSaga(leader: Leader, tasks: () => TaskRunner): RunnableSaga {
  return defineSaga<Journal>({
    kind: 'service.apply',
    journalSchema,
    pointOfNoReturn: 'carry-out',
    steps: [
      {
        name: 'carry-out',
        message: 'makes, changes and deletes its machines',
        timeoutMs: longestMs,
        run: (context) => carryOut(leader, tasks(), context),
      },
    ],
  })
}

async function carryOut(leader: Leader, tasks: TaskRunner, context: StepContext<Journal>): Promise<void> {
  const { journal, task, signal, progress } = context
  for (;;) {
    signal.throwIfAborted()
    const service = requireService(leader, journal.serviceId)
    const { plan } = planService(leader.index.state(), service.spec.file, { present: service, prune: journal.prune })
    const open = plan.steps.filter(({ kind }) => kind !== 'keep')
    const wave = Math.min(...open.map((step) => (step.kind === 'create' ? step.wave : -1)))
    const now = open.filter((step) => (step.kind === 'create' ? step.wave : -1) === wave)
    // What it waits for serves first; at the end all of it.
    await untilServing(leader, { service, below: wave, signal, progress })
    if (open.length === 0) return
    const begun: TaskId[] = []
    for (const step of now) {
      progress(0, `${step.kind}s ${step.vmName}`)
      const taskId = await carryOutStep({ leader, tasks }, { step, service: service.spec, user: task.user })
      if (taskId !== undefined) begun.push(taskId)
    }
    for (const taskId of begun) await untilEnded(leader, taskId, signal)
  }
}

function requireService(leader: Leader, serviceId: ServiceId): ServiceRecord {
  const service = leader.index.state().services.get(serviceId)
  if (service === undefined || service.spec.lifecycle !== 'live')
    throw new DialtoneError('cancelled', 'the service is being deleted')
  return service
}

async function untilEnded(leader: Leader, taskId: TaskId, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const task = leader.index.state().tasks.get(taskId)
    if (task === undefined || task.state === 'succeeded') return
    if (task.endedAt !== null)
      throw new DialtoneError('hypervisor-failed', `${task.subject}: ${task.error?.message ?? task.state}`)
    await leader.clock.sleep(lookAgainMs, signal)
  }
}

/** Waits for the machines of all components below this wave. */
async function untilServing(
  leader: Leader,
  {
    service,
    below,
    signal,
    progress,
  }: { readonly service: ServiceRecord; readonly below: number } & Pick<StepContext<Journal>, 'signal' | 'progress'>,
): Promise<void> {
  const givesUpAtMs = leader.clock.bootTimeMs() + waveServesWithinMs
  const waves = wavesOf(service.spec.file.components)
  for (;;) {
    const awaited = [...membersOf(leader.index.state(), service.spec.id)].flatMap(([component, members]) =>
      (waves.get(component) ?? Infinity) < below ? members : [],
    )
    const missing = awaited.filter((vm) => memberHealth(vm) !== 'serving' && isWanted(vm))
    signal.throwIfAborted()
    if (missing.length === 0) return
    const names = missing.map(({ spec }) => spec.name).join(', ')
    if (leader.clock.bootTimeMs() > givesUpAtMs)
      throw new DialtoneError('deadline-exceeded', `${names} did not serve in time: ${detailsOf(missing)}`)
    progress(1 - missing.length / awaited.length, `waits until ${names} serve${missing.length === 1 ? 's' : ''}`)
    await leader.clock.sleep(lookAgainMs, signal)
  }
}

/** One that its owner has stopped is not waited for. */
function isWanted({ spec }: VmRecord): boolean {
  return spec.lifecycle !== 'deleting' && spec.desired === 'running'
}

function detailsOf(vms: readonly VmRecord[]): string {
  return vms
    .map(({ spec, status }) => `${spec.name} is ${status?.state ?? 'stopped'}, ${status?.detail ?? ''}`)
    .join('; ')
}
