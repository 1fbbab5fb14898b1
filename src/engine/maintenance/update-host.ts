/**
 * Updates hosts one after the other: each is emptied, runs the administrator's command, comes back and is given back, before the next
 * one is touched. The first that fails or stays away ends it, and stays in maintenance, so that the others go on serving.
 */
import { z } from 'zod'
import type { Task } from '../../model/cluster.ts'
import { type HostRecord, isAnswering } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostCommandReport } from '../../model/host-command.ts'
import { type HostId, hostIdSchema, type TaskId, taskIdSchema } from '../../model/ids.ts'
import { maintenanceWishSchema } from '../../model/maintenance.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader } from '../leader.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../tasks/saga.ts'
import { enterMaintenance, leaveMaintenance } from './change-maintenance.ts'
import { type EvacuationParts, evacuate } from './evacuate-host.ts'

const commandSchema = z.string().min(1).max(4_000)

export const rollingUpdateJournalSchema = z.object({
  hostIds: z.array(hostIdSchema),
  command: commandSchema,
  wish: maintenanceWishSchema,
  output: z.string().default(''),
})
const hostUpdateJournalSchema = z.object({
  hostId: hostIdSchema,
  command: commandSchema,
  wish: maintenanceWishSchema,
  /** The rolling update that it belongs to. */
  parentId: taskIdSchema,
  /** The boot in which the command was begun. */
  bootId: z.string().nullable(),
  output: z.string().default(''),
})
type RollingJournal = z.infer<typeof rollingUpdateJournalSchema>
type HostJournal = z.infer<typeof hostUpdateJournalSchema>

export type UpdateParts = EvacuationParts & { readonly agents: AgentPort }

const lookEveryMs = 500
const commandWithinMs = 4 * 3_600_000
/** A server may take minutes to boot; one that takes longer needs a person. */
const returnWithinMs = 15 * 60_000
/** It answers for so long without a break: a reboot that the command has only ordered comes within it. */
const steadyMs = 10_000

export function updateSagas(parts: UpdateParts): readonly RunnableSaga[] {
  return [rollingSaga(parts), hostSaga(parts)]
}

function rollingSaga(parts: UpdateParts): RunnableSaga {
  return defineSaga<RollingJournal>({
    kind: 'host.rolling-update',
    journalSchema: rollingUpdateJournalSchema,
    pointOfNoReturn: 'roll',
    steps: [
      {
        name: 'roll',
        message: 'updates one host after the other',
        timeoutMs: 7 * 24 * 3_600_000,
        run: (context) => roll(parts, context),
      },
    ],
  })
}

async function roll(parts: UpdateParts, { journal, task, signal, progress }: StepContext<RollingJournal>) {
  const { leader } = parts
  const outputs: string[] = []
  for (const [index, hostId] of journal.hostIds.entries()) {
    const name = nameOf(leader, hostId)
    const taskId = findPart(leader, task.id, hostId)?.id ?? (await beginPart(parts, { journal, task, hostId }))
    for (;;) {
      const part = leader.index.state().tasks.get(taskId)
      if (part === undefined) throw new DialtoneError('not-found', `the task ${taskId} is gone`)
      if (signal.aborted && part.endedAt === null) await parts.tasks().cancel(taskId)
      signal.throwIfAborted()
      progress((index + part.progress) / journal.hostIds.length, `${name}: ${part.message}`)
      if (part.endedAt === null) {
        await leader.clock.sleep(lookEveryMs, signal).catch(() => undefined)
        continue
      }
      if (part.state !== 'succeeded') throw stopped(part, name, { index, count: journal.hostIds.length })
      outputs.push(`${name}:\n${hostUpdateJournalSchema.parse(part.journal).output}`)
      break
    }
  }
  return { output: outputs.join('\n') }
}

function stopped(part: Task, name: string, { index, count }: { readonly index: number; readonly count: number }) {
  return new DialtoneError(
    part.error?.code === 'cancelled' ? 'cancelled' : 'command-failed',
    `the update stopped at ${name}, after ${index} of ${count} hosts: ${part.error?.message ?? part.state}. ${name} stays in maintenance: dialtone host maintenance off ${name} gives it back`,
    { detail: part.error?.detail },
  )
}

/** The part that was begun for this host, also before a crash. */
function findPart(leader: Leader, parentId: TaskId, hostId: HostId): Task | undefined {
  return [...leader.index.state().tasks.values()].find((task) => {
    if (task.kind !== 'host.update' || task.hostId !== hostId) return false
    return hostUpdateJournalSchema.safeParse(task.journal).data?.parentId === parentId
  })
}

async function beginPart(
  { leader, tasks }: UpdateParts,
  { journal, task, hostId }: { readonly journal: RollingJournal; readonly task: Task; readonly hostId: HostId },
): Promise<TaskId> {
  const { command, wish } = journal
  const subject = nameOf(leader, hostId)
  const own: HostJournal = { hostId, command, wish, parentId: task.id, bootId: null, output: '' }
  const part = tasks().prepare({ kind: 'host.update', subject, user: task.user, hostId, journal: own })
  await commitAndSee(leader, { conditions: [], writes: [part.write] })
  tasks().begin(part.task.id)
  return part.task.id
}

function hostSaga(parts: UpdateParts): RunnableSaga {
  const { leader } = parts
  return defineSaga<HostJournal>({
    kind: 'host.update',
    journalSchema: hostUpdateJournalSchema,
    pointOfNoReturn: 'empty',
    steps: [
      {
        name: 'empty',
        message: 'moves its machines to other hosts',
        timeoutMs: 24 * 3_600_000,
        run: async (context) => {
          await enterMaintenance(leader, context.journal.hostId, { user: context.task.user })
          await evacuate(parts, context)
        },
      },
      {
        name: 'note',
        message: 'notes which boot it is in',
        timeoutMs: 60_000,
        run: async ({ journal: { hostId, command }, task }) => {
          const { spec, status } = hostOf(leader, hostId)
          await leader.events.record({
            kind: 'host.command',
            subject: spec.name,
            message: `runs for ${task.user}: ${command}`,
            hostId,
            user: task.user,
          })
          return { bootId: status.bootId }
        },
      },
      {
        name: 'run',
        message: 'runs the command',
        timeoutMs: commandWithinMs,
        run: (context) => runCommand(parts, context),
      },
      {
        name: 'return',
        message: 'waits until it is back and steady',
        timeoutMs: returnWithinMs,
        run: ({ journal: { hostId }, signal }) => untilSteady(leader, hostId, signal),
      },
      {
        name: 'give-back',
        message: 'gives it back',
        timeoutMs: 60_000,
        run: async ({ journal: { hostId }, task }) => void (await leaveMaintenance(leader, hostId, task.user)),
      },
    ],
  })
}

/** Until it has ended. One that ends its own host is through once the host has booted anew: it is not begun a second time. */
async function runCommand({ leader, agents }: UpdateParts, { journal, task, signal }: StepContext<HostJournal>) {
  let heardAtMs = leader.clock.bootTimeMs()
  for (;;) {
    signal.throwIfAborted()
    const { spec, status } = hostOf(leader, journal.hostId)
    const hasBooted = status.bootId !== journal.bootId
    const report = await ask(leader, agents, { host: { spec, status }, runId: task.id, command: journal.command })
    if (report?.state === 'ended') return outcomeOf(report, spec.name)
    if (report?.state === 'cut-off') {
      if (hasBooted) return { output: `${report.output}(the host has booted anew)\n` }
      throw new DialtoneError('command-failed', `the command on ${spec.name} was cut off`, { detail: report })
    }
    const nowMs = leader.clock.bootTimeMs()
    if (report !== undefined) heardAtMs = nowMs
    if (nowMs - heardAtMs > returnWithinMs)
      throw new DialtoneError(
        'host-unreachable',
        `${spec.name} has not come back within ${returnWithinMs / 60_000} minutes`,
      )
    await leader.clock.sleep(lookEveryMs, signal)
  }
}

function outcomeOf({ exitCode, output }: HostCommandReport, name: string): { readonly output: string } {
  if (exitCode === 0) return { output }
  const words = output.trimEnd().split('\n').slice(-3).join(' / ')
  throw new DialtoneError('command-failed', `the command on ${name} ended with ${exitCode}: ${words}`, {
    detail: { exitCode, output },
  })
}

/** Undefined while it can't be asked: it may be booting. */
async function ask(
  leader: Leader,
  agents: AgentPort,
  { host, runId, command }: { readonly host: HostRecord; readonly runId: TaskId; readonly command: string },
): Promise<HostCommandReport | undefined> {
  const { session } = host.status
  if (session === null || !isAnswering(host)) return undefined
  try {
    return await agents.runHostCommand(host.spec, { authority: { term: leader.term, session }, runId, command })
  } catch (error) {
    const passes = error instanceof DialtoneError && away.includes(error.code)
    if (!passes) throw error
    return undefined
  }
}

const away: readonly string[] = ['host-unreachable', 'deadline-exceeded', 'session-void']

async function untilSteady(leader: Leader, hostId: HostId, signal: AbortSignal): Promise<void> {
  let steadySinceMs = leader.clock.bootTimeMs()
  let bootId = hostOf(leader, hostId).status.bootId
  while (leader.clock.bootTimeMs() - steadySinceMs < steadyMs) {
    signal.throwIfAborted()
    await leader.clock.sleep(lookEveryMs, signal)
    const host = hostOf(leader, hostId)
    const isSteady = isAnswering(host) && host.status.bootId === bootId
    bootId = host.status.bootId
    if (!isSteady) steadySinceMs = leader.clock.bootTimeMs()
  }
}

function hostOf(leader: Leader, hostId: HostId): HostRecord {
  const host = leader.index.state().hosts.get(hostId)
  if (host === undefined) throw new DialtoneError('not-found', 'the host was forgotten')
  return host
}

function nameOf(leader: Leader, hostId: HostId): string {
  return leader.index.state().hosts.get(hostId)?.spec.name ?? hostId
}
