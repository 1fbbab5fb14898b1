/**
 * A saga is a table of steps with what undoes them. The journal in the store says how far it has come, so that a controller that was
 * killed at any point goes on or undoes when it is back. Every step and every undo has to be safe to repeat.
 */
import type { z } from 'zod'
import type { Task } from '../../model/cluster.ts'

export type StepContext<Journal> = {
  readonly task: Task
  readonly journal: Journal
  /** Aborts when the step's time is up, when the task is cancelled, or when this controller stops. */
  readonly signal: AbortSignal
  /** Says where it is: 0 to 1 within the step, and a sentence. Stored at a bounded rate. */
  progress(fraction: number, message: string): void
}

export type Step<Journal> = {
  readonly name: string
  /** What people read while it runs. */
  readonly message: string
  readonly timeoutMs: number
  /** What has begun can't be left half done: a failure is repeated, with pauses that grow, for some minutes before the task gives up. */
  readonly isRepeated?: boolean
  /** How often it is tried when what went wrong may pass (a host that is just coming back); 1 if not given. */
  readonly attempts?: number
  /** Gives the journal's changes, if any: they are stored before the next step begins. */
  run(context: StepContext<Journal>): Promise<Partial<Journal> | void>
  undo?(context: StepContext<Journal>): Promise<void>
}

export type Saga<Journal> = {
  readonly kind: string
  readonly journalSchema: z.ZodType<Journal>
  readonly steps: readonly Step<Journal>[]
  /** From this step on nothing is undone any more: a failure leaves what was made, and says so. */
  readonly pointOfNoReturn: string
}

/** A saga whose journal's type is its own business: what the runner keeps. */
export type RunnableSaga = {
  readonly kind: string
  readonly pointOfNoReturn: string
  readonly steps: readonly RunnableStep[]
}

type UntypedContext = Omit<StepContext<unknown>, 'journal'>

export type RunnableStep = {
  readonly name: string
  readonly isRepeated: boolean
  readonly attempts: number
  readonly message: string
  readonly timeoutMs: number
  run(context: UntypedContext): Promise<object | void>
  undo(context: UntypedContext): Promise<void>
}

/** Makes it runnable: each step reads the journal through its schema, as it was stored. */
export function defineSaga<Journal>(saga: Saga<Journal>): RunnableSaga {
  const typed = (context: UntypedContext): StepContext<Journal> => ({
    ...context,
    journal: saga.journalSchema.parse(context.task.journal),
  })
  return {
    kind: saga.kind,
    pointOfNoReturn: saga.pointOfNoReturn,
    steps: saga.steps.map((step) => ({
      name: step.name,
      isRepeated: step.isRepeated ?? false,
      attempts: step.attempts ?? 1,
      message: step.message,
      timeoutMs: step.timeoutMs,
      run: async (context) => step.run(typed(context)),
      undo: async (context) => step.undo?.(typed(context)),
    })),
  }
}
