/** The bound of one call: by time and by the caller's signal. What it cuts is the connection itself, as a dead link answers nothing. */
import type { ClientRequest } from 'node:http'
import { DialtoneError } from '../model/dialtone-error.ts'

export type CallDeadline = {
  /** The request to destroy when it is over; a repeat of the call binds its new request. */
  bind(request: ClientRequest): void
  /** Why it was cut, if it was. */
  failure(): DialtoneError | undefined
  [Symbol.dispose](): void
}

export type DeadlineOptions = {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  readonly what: string
}

/** Starts counting. Dispose it when the call is done. */
export function startDeadline({ timeoutMs, signal, what }: DeadlineOptions): CallDeadline {
  let bound: ClientRequest | undefined
  let failure: DialtoneError | undefined
  const cut = (error: DialtoneError) => {
    failure ??= error
    bound?.destroy(failure)
  }
  const onAbort = () =>
    cut(new DialtoneError('cancelled', `${what} was given up by its caller.`, { cause: signal?.reason }))
  const timer = setTimeout(() => {
    cut(new DialtoneError('deadline-exceeded', `${what} was not answered within ${timeoutMs} ms.`))
  }, timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted) onAbort()
  return {
    bind: (request) => {
      bound = request
      if (failure) request.destroy(failure)
    },
    failure: () => failure,
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    },
  }
}
