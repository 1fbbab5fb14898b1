/** One question to a machine's service, and its answer, as a port: the real one opens sockets, the simulator's and the tests' don't. */
import type { ProbeCheck } from '../../model/recovery/probe.ts'

/** Runs a program in the guest. Rejects when none can be run in time. */
export type RunInGuest = (
  command: readonly string[],
  timeoutMs: number,
) => Promise<{ readonly exitCode: number; readonly output: string }>

export type CheckQuestion = {
  readonly check: ProbeCheck
  readonly address: string
  /** This host's own address that the question comes from; undefined: any. */
  readonly askFrom?: string | undefined
  readonly timeoutMs: number
  readonly runInGuest?: RunInGuest | undefined
  readonly signal?: AbortSignal | undefined
}

/** `isSilent`: nothing was heard in time, which is no proof that nothing would have been heard later. */
export type CheckAnswer =
  | { readonly isCorrect: true; readonly latencyMs: number }
  | { readonly isCorrect: false; readonly isSilent: boolean; readonly reason: string }

/** Asks a service once, as a port: the real one is `checkOnce` of `check-once.ts`. Answers within `timeoutMs`; never rejects. */
export type CheckOnce = (question: CheckQuestion) => Promise<CheckAnswer>
