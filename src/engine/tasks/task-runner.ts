/** Runs sagas as tasks: journalled, cancellable, with progress, and resumed after a crash from the step that was under way. */
import type { Task } from '../../model/cluster.ts'
import { DialtoneError, errorCatalogue } from '../../model/dialtone-error.ts'
import { type HostId, makeId, type TaskId, taskIdSchema, type VmId } from '../../model/ids.ts'
import { toJson } from '../../model/to-json.ts'
import type { Write } from '../../store/store.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import type { RunnableSaga, RunnableStep } from './saga.ts'

export type NewTask = {
  readonly kind: string
  readonly subject: string
  readonly user: string
  readonly vmId?: VmId
  readonly hostId?: HostId
  readonly journal: unknown
}

export type TaskRunner = {
  /** The task and the write that stores it: to go into the transaction that makes what the task works on. */
  prepare(task: NewTask): { readonly task: Task; readonly write: Write }
  /** Begins it, once its transaction has been committed. */
  begin(taskId: TaskId): void
  /** Goes on with every task that an earlier controller left unfinished. */
  resumeAll(): void
  cancel(taskId: TaskId): Promise<void>
  /** Resolves when no task runs in this process any more. */
  idle(): Promise<void>
}

const keptTasks = 500
/** Of a step that is repeated, and of an undo: with the pauses between them about five minutes. */
const maximumAttempts = 16

export function createTaskRunner(leader: Leader, sagas: readonly RunnableSaga[]): TaskRunner {
  const running = new Map<TaskId, { readonly controller: AbortController; readonly done: Promise<void> }>()
  const byKind = new Map(sagas.map((saga) => [saga.kind, saga]))

  const begin = (taskId: TaskId) => {
    if (running.has(taskId)) return
    const controller = new AbortController()
    const done = runTask(leader, byKind, { taskId, cancelled: controller.signal })
      .catch((error: unknown) => leader.logger.error('task.broke', { taskId, error }))
      .finally(() => running.delete(taskId))
    running.set(taskId, { controller, done })
  }

  return {
    prepare(input) {
      const task: Task = {
        id: makeId('task', taskIdSchema, leader.randomBytes(8)),
        kind: input.kind,
        subject: input.subject,
        vmId: input.vmId ?? null,
        hostId: input.hostId ?? null,
        user: input.user,
        state: 'running',
        progress: 0,
        message: 'begins',
        steps: (byKind.get(input.kind)?.steps ?? []).map((step) => ({
          name: step.name,
          state: 'pending',
          tookMs: null,
        })),
        journal: toJson(input.journal),
        error: null,
        cancelRequested: false,
        createdAt: leader.clock.wallTime().toISOString(),
        endedAt: null,
      }
      return { task, write: put(keys.task(task.id), task) }
    },
    begin,
    resumeAll() {
      for (const task of leader.index.state().tasks.values()) if (task.endedAt === null) begin(task.id)
      pruneTasks(leader).catch((error: unknown) => leader.logger.warn('task.not-pruned', { error }))
    },
    async cancel(taskId) {
      const task = leader.index.state().tasks.get(taskId)
      if (task === undefined || task.endedAt !== null) return
      await updateTask(leader, taskId, (current) => ({ ...current, cancelRequested: true }))
      running.get(taskId)?.controller.abort(new DialtoneError('cancelled', 'the task was cancelled'))
    },
    async idle() {
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }
}

type RunOptions = { readonly taskId: TaskId; readonly cancelled: AbortSignal }

async function runTask(
  leader: Leader,
  byKind: ReadonlyMap<string, RunnableSaga>,
  { taskId, cancelled }: RunOptions,
): Promise<void> {
  const task = leader.index.state().tasks.get(taskId)
  const saga = task === undefined ? undefined : byKind.get(task.kind)
  if (task === undefined || saga === undefined) return
  if (task.state === 'undoing') return undoFrom(leader, saga, taskId)
  if (task.cancelRequested)
    return fail(leader, saga, { taskId, error: new DialtoneError('cancelled', 'the task was cancelled') })
  for (const [index, step] of saga.steps.entries()) {
    const state = leader.index.state().tasks.get(taskId)?.steps[index]?.state
    if (state === 'done') continue
    const error = await runStep(leader, saga, { taskId, index, step, cancelled })
    if (leader.signal.aborted) return
    if (error !== undefined) return fail(leader, saga, { taskId, error })
  }
  await updateTask(leader, taskId, (current) => ({
    ...current,
    state: 'succeeded',
    progress: 1,
    message: summaryOf(current.journal) ?? 'done',
    endedAt: nowOf(leader),
  }))
}

type StepRun = {
  readonly taskId: TaskId
  readonly index: number
  readonly step: RunnableStep
  readonly cancelled: AbortSignal
}

/** What went wrong, or undefined. */
async function runStep(leader: Leader, saga: RunnableSaga, run: StepRun): Promise<unknown> {
  const { taskId, index, step } = run
  const startedAtMs = leader.clock.bootTimeMs()
  const weight = 1 / saga.steps.length
  await updateTask(leader, taskId, (task) =>
    withStep({ ...task, progress: index * weight, message: step.message }, index, { state: 'running' }),
  )
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptStep(leader, saga, run)
    if (outcome.kind === 'done') {
      const tookMs = Math.round(leader.clock.bootTimeMs() - startedAtMs)
      await updateTask(leader, taskId, (task) => {
        const next = {
          ...task,
          journal: mergeJournal(task.journal, outcome.changes ?? undefined),
          progress: (index + 1) * weight,
        }
        return withStep(next, index, { state: 'done', tookMs })
      })
      return undefined
    }
    if (run.cancelled.aborted && !step.isRepeated) return outcome.error
    const mayPass = outcome.error instanceof DialtoneError && errorCatalogue[outcome.error.code].retryable
    const attempts = step.isRepeated ? maximumAttempts : mayPass ? step.attempts : 1
    if (attempt >= attempts || leader.signal.aborted) return outcome.error
    const { message } = describeError(outcome.error)
    leader.logger.warn('task.step-repeated', { taskId, step: step.name, attempt, error: outcome.error })
    await updateTask(leader, taskId, (task) => ({ ...task, message: `${step.message}: ${message}; tries again` }))
    await leader.clock.sleep(pauseAfterMs(attempt), leader.signal)
  }
}

/** Soon at first, for what passes in a moment; then not so often that it would be a burden. */
function pauseAfterMs(attempt: number): number {
  return Math.min(30_000, 250 * 2 ** attempt)
}

type StepOutcome =
  | { readonly kind: 'done'; readonly changes: object | void }
  | { readonly kind: 'failed'; readonly error: unknown }

/** One try. When its time is up, or the task is cancelled, the step is told so and waited for: nothing is undone beneath its feet. */
async function attemptStep(
  leader: Leader,
  saga: RunnableSaga,
  { taskId, index, step, cancelled }: StepRun,
): Promise<StepOutcome> {
  const deadline = new AbortController()
  const timer = new AbortController()
  const late = new DialtoneError(
    'deadline-exceeded',
    `${step.name} did not end within ${Math.round(step.timeoutMs / 1000)} s`,
  )
  void leader.clock
    .sleep(step.timeoutMs, timer.signal)
    .then(() => (timer.signal.aborted ? undefined : deadline.abort(late)))
  const signal = AbortSignal.any([
    deadline.signal,
    step.isRepeated ? new AbortController().signal : cancelled,
    leader.signal,
  ])
  const work = step.run(contextOf(leader, saga, { taskId, signal, index }))
  try {
    return { kind: 'done', changes: await Promise.race([work, rejectOnAbort(signal)]) }
  } catch (error) {
    if (!leader.signal.aborted)
      await Promise.race([work.catch(() => undefined), rejectOnAbort(leader.signal).catch(() => undefined)])
    return { kind: 'failed', error: error ?? new Error('unknown') }
  } finally {
    timer.abort()
  }
}

function contextOf(
  leader: Leader,
  saga: RunnableSaga,
  { taskId, signal, index }: { readonly taskId: TaskId; readonly signal: AbortSignal; readonly index: number },
): Parameters<RunnableStep['run']>[0] {
  const task = leader.index.state().tasks.get(taskId)
  if (task === undefined) throw new DialtoneError('not-found', `the task ${taskId} is gone`)
  let lastAtMs = 0
  return {
    task,
    signal,
    progress(fraction, message) {
      const nowMs = leader.clock.bootTimeMs()
      if (nowMs - lastAtMs < 200) return
      lastAtMs = nowMs
      const note = updateTask(leader, taskId, (current) => ({
        ...current,
        progress: Math.min(1, (index + Math.min(1, fraction)) / saga.steps.length),
        message,
      }))
      // Only a line for people: the step goes on whether it could be written or not.
      note.catch((error: unknown) => leader.logger.warn('task.progress-not-written', { taskId, error }))
    },
  }
}

async function fail(
  leader: Leader,
  saga: RunnableSaga,
  { taskId, error }: { readonly taskId: TaskId; readonly error: unknown },
): Promise<void> {
  const described = describeError(error)
  const { kind, subject } = leader.index.state().tasks.get(taskId) ?? {}
  if (described.code === 'internal') leader.logger.error('task.failed', { taskId, task: kind, subject, error })
  else leader.logger.warn('task.failed', { taskId, task: kind, subject, error })
  await updateTask(leader, taskId, (task) => ({
    ...task,
    state: 'undoing',
    error: described,
    message: described.message,
  }))
  await undoFrom(leader, saga, taskId)
}

/** Undoes, newest first, whatever was begun; nothing at all once the point of no return was passed. */
async function undoFrom(leader: Leader, saga: RunnableSaga, taskId: TaskId): Promise<void> {
  const task = leader.index.state().tasks.get(taskId)
  if (task === undefined) return
  const noReturn = saga.steps.findIndex((step) => step.name === saga.pointOfNoReturn)
  const isKept = noReturn >= 0 && task.steps[noReturn]?.state !== 'pending' && task.steps[noReturn]?.state !== 'undone'
  if (!isKept) {
    for (let index = saga.steps.length - 1; index >= 0; index -= 1) await undoStep(leader, saga, { taskId, index })
  }
  if (leader.signal.aborted) return
  await updateTask(leader, taskId, (current) => ({
    ...current,
    steps: current.steps.map((step) => (step.state === 'running' ? { ...step, state: 'failed' } : step)),
    state: current.error?.code === 'cancelled' ? 'cancelled' : 'failed',
    endedAt: nowOf(leader),
  }))
}

/** An undo that fails is tried again for some minutes, as storages come back; what then remains is for the doctor to find, and the log says so. */
async function undoStep(
  leader: Leader,
  saga: RunnableSaga,
  { taskId, index }: { readonly taskId: TaskId; readonly index: number },
): Promise<void> {
  const step = saga.steps[index]
  const state = leader.index.state().tasks.get(taskId)?.steps[index]?.state
  if (step === undefined || state === 'pending' || state === 'undone') return
  for (let attempt = 1; attempt <= maximumAttempts && !leader.signal.aborted; attempt += 1) {
    try {
      await step.undo(contextOf(leader, saga, { taskId, signal: leader.signal, index }))
      await updateTask(leader, taskId, (task) => withStep(task, index, { state: 'undone' }))
      return
    } catch (error) {
      leader.logger.warn('task.undo-failed', { taskId, step: step.name, attempt, error })
      await leader.clock.sleep(pauseAfterMs(attempt), leader.signal)
    }
  }
}

async function updateTask(leader: Leader, taskId: TaskId, change: (task: Task) => Task): Promise<void> {
  const key = keys.task(taskId)
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const task = leader.index.state().tasks.get(taskId)
    if (task === undefined || task.endedAt !== null) return
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [put(key, change(task))],
    })
    if (result.kind === 'committed') return
    await leader.clock.sleep(2)
  }
  throw new DialtoneError('conflict', `the task ${taskId} could not be written`)
}

function withStep(task: Task, index: number, changes: Partial<Task['steps'][number]>): Task {
  return { ...task, steps: task.steps.map((step, at) => (at === index ? { ...step, ...changes } : step)) }
}

/** What a saga has to say at its end. */
function summaryOf(journal: Task['journal']): string | undefined {
  const isRecord = typeof journal === 'object' && journal !== null && !Array.isArray(journal)
  const summary = isRecord ? journal['summary'] : undefined
  return typeof summary === 'string' ? summary : undefined
}

function mergeJournal(journal: Task['journal'], changes: object | undefined): Task['journal'] {
  const isRecord = typeof journal === 'object' && journal !== null && !Array.isArray(journal)
  return changes === undefined || !isRecord ? journal : toJson({ ...journal, ...changes })
}

function describeError(error: unknown): NonNullable<Task['error']> {
  if (error instanceof DialtoneError) {
    const detail = error.detail === undefined ? {} : { detail: toJson(error.detail) }
    return { code: error.code, message: error.message, next: errorCatalogue[error.code].next, ...detail }
  }
  return {
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    next: errorCatalogue.internal.next,
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () =>
      reject(
        signal.reason instanceof Error ? signal.reason : new DialtoneError('cancelled', 'the task was interrupted'),
      )
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

function nowOf(leader: Leader): string {
  return leader.clock.wallTime().toISOString()
}

async function pruneTasks(leader: Leader): Promise<void> {
  const ended = [...leader.index.state().tasks.values()]
    .filter((task) => task.endedAt !== null)
    .sort((left, right) => left.createdAt.localeCompare(right.createdAt))
  const old = ended.slice(0, Math.max(0, ended.length - keptTasks)).slice(0, 400)
  if (old.length > 0)
    await leader.store.commit({
      conditions: [],
      writes: old.map((task) => ({ kind: 'delete', key: keys.task(task.id) })),
    })
}
