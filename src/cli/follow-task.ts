/** Follows a task to its end over the event stream, through dropped connections and a restarted controller. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TaskView } from '../model/api/views.ts'
import { DialtoneError, type ErrorCode, errorCatalogue } from '../model/dialtone-error.ts'
import { CommandFailure, exitCodes, failureOf } from './command-failure.ts'
import { withInterrupt } from './interrupt.ts'
import { startPatience } from './patience.ts'
import { type Screen, writeJson } from './screen.ts'
import type { Session } from './session.ts'
import { showTask } from './show-task.ts'

const retryMs = 500
const absences: readonly ErrorCode[] = ['host-unreachable', 'not-leader', 'deadline-exceeded']

/** Shows the task until it has ended and returns it. Throws what it failed with, and Interrupted on Ctrl-C: the task goes on then. */
export async function followTask({ api, screen }: Session, begun: TaskView): Promise<TaskView> {
  const shown = showTask(begun, screen)
  let task = begun
  try {
    await withInterrupt(goesOn(begun.id), async (signal) => {
      const watch = { signal, onLost: shown.lost }
      for await (task of taskChanges(api, begun, watch)) shown.update(task)
    })
  } finally {
    shown.end()
  }
  requireSuccess(task)
  return task
}

export type TaskWatch = { readonly signal: AbortSignal; readonly onLost: () => void }

/**
 * The task at each change; the last one has ended. Connections may come and go; throws when the controller stays away for too long, and
 * the signal's reason when it aborts.
 */
export async function* taskChanges(api: Session['api'], begun: TaskView, watch: TaskWatch): AsyncGenerator<TaskView> {
  if (begun.endedAt !== null) return
  const params = { task: begun.id }
  const { signal, onState } = startPatience(watch.signal, watch.onLost)
  for (;;) {
    try {
      for await (const { data } of api.events('watchTask', { params }, { signal, onState })) {
        yield data
        if (data.endedAt !== null) return
      }
      signal.throwIfAborted()
      // A stream that ends early does not prove that the task has: ask.
      const task = await api.call('getTask', { params }, { signal })
      yield task
      if (task.endedAt !== null) return
      await sleep(retryMs, undefined, { signal })
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof DialtoneError && absences.includes(error.code))) throw error
      onState({ connected: false, error, retryInMs: retryMs })
    }
  }
}

/** Throws the error of a task that did not succeed. */
export function requireSuccess(task: TaskView): void {
  if (task.state === 'succeeded') return
  const { error } = task
  if (error === null) {
    const sentence = task.message === '' ? `${task.kind} of ${task.subject} was cancelled.` : task.message
    throw failureOf(new DialtoneError('cancelled', sentence))
  }
  throw new CommandFailure(isErrorCode(error.code) ? error.code : 'internal', error.message, {
    exitCode: exitCodes.failed,
    next: error.next === '' ? `Look at the task: dialtone task show ${task.id}.` : error.next,
    detail: error.detail,
  })
}

/** What a detached command prints: the API's answer, or which task has begun. */
export function writeBegun(screen: Screen, begun: { readonly task: TaskView }): void {
  if (screen.json) return writeJson(screen, begun)
  screen.write(`Task ${begun.task.id} has begun. Watch it: dialtone task watch ${begun.task.id}.\n`)
}

function goesOn(taskId: string): string {
  return `The task goes on. Watch it: dialtone task watch ${taskId}. Stop it: dialtone task cancel ${taskId}.`
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code)
}
