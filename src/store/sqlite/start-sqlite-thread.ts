import { Worker } from 'node:worker_threads'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { StateSummary } from './sqlite-keyspace.ts'
import {
  expectReply,
  type Numbered,
  type SqliteReply,
  type SqliteRequest,
  type SqliteThreadOptions,
} from './sqlite-messages.ts'

export type SqliteThread = {
  readonly summary: StateSummary
  /** Throws the thread's failure. After a fatal one, or the thread's end, every request fails with it. */
  readonly ask: (request: SqliteRequest) => Promise<SqliteReply>
  /** `listener` is called once if the thread breaks, or has broken, before it is closed. */
  readonly onFailure: (listener: (failure: DialtoneError) => void) => void
  /** Closes the file after the requests before it; ends the thread by force when that takes too long. */
  readonly close: () => Promise<void>
}

/** A disk that hangs must not hang the controller's shutdown: all that was acknowledged is on the disk already. */
const closeDeadlineMs = 10_000

/** Throws what `openStateFile` throws. */
export async function startSqliteThread(options: SqliteThreadOptions): Promise<SqliteThread> {
  const worker = new Worker(new URL('./sqlite-thread.ts', import.meta.url), {
    workerData: options,
    name: 'dialtone-store',
  })
  const waiting = new Map<number, PromiseWithResolvers<SqliteReply>>()
  const ended = Promise.withResolvers<void>()
  let lastId = 0
  let failure: DialtoneError | undefined
  let isClosing = false
  let tellFailure: (failure: DialtoneError) => void = () => undefined

  function fail(reason: DialtoneError): void {
    if (failure !== undefined) return
    failure = reason
    for (const { reject } of waiting.values()) reject(reason)
    waiting.clear()
    if (!isClosing) tellFailure(reason)
  }

  worker.on('message', ({ id, body }: Numbered<SqliteReply>) => {
    waiting.get(id)?.resolve(body)
    waiting.delete(id)
    if (body.kind === 'failed' && body.isFatal) fail(new DialtoneError(body.code, body.message))
  })
  worker.on('error', (cause) => {
    fail(new DialtoneError('storage-failed', `The thread of ${options.path} died.`, { cause }))
  })
  worker.on('exit', () => {
    fail(new DialtoneError('storage-failed', `The store at ${options.path} is closed.`))
    ended.resolve()
  })

  function send(id: number, request: SqliteRequest | undefined): Promise<SqliteReply> {
    if (failure !== undefined) return Promise.reject(failure)
    const reply = Promise.withResolvers<SqliteReply>()
    waiting.set(id, reply)
    if (request !== undefined) worker.postMessage({ id, body: request })
    return reply.promise
  }

  const { summary } = expectReply(await send(lastId, undefined), 'opened')
  return {
    summary,
    ask: (request) => {
      lastId += 1
      return send(lastId, request)
    },
    onFailure: (listener) => {
      tellFailure = listener
      if (failure !== undefined) listener(failure)
    },
    close: async () => {
      isClosing = true
      lastId += 1
      send(lastId, { kind: 'close' }).catch(() => undefined)
      const force = setTimeout(() => void worker.terminate(), closeDeadlineMs)
      await ended.promise
      clearTimeout(force)
    },
  }
}
