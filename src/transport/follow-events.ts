/** Reads server-sent events over connections that come and go: each event once, in order, whatever is lost between. */
import type { IncomingMessage } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as wait } from 'node:timers/promises'
import { DialtoneError } from '../model/dialtone-error.ts'
import { readErrorAnswer } from './error-envelope.ts'
import { createFrameReader, type Frame, isPassing } from './event-frames.ts'
import { streamEnd, streamError } from './stream-protocol.ts'

export type ReceivedEvent<Data> = { readonly id: string; readonly event: string | undefined; readonly data: Data }

/** Told when the connection is gained and each time it is lost or cannot be made, so that a user can be shown that the view is stale. */
export type StreamState =
  | { readonly connected: true }
  | { readonly connected: false; readonly error: DialtoneError; readonly retryInMs: number }

export type FollowOptions = {
  /** Connects and asks for what came after the id. Rejects with DialtoneError. */
  readonly open: (after: string | undefined) => Promise<IncomingMessage>
  readonly server: string
  readonly after: string | undefined
  /** When it aborts, the iteration ends without an error. */
  readonly signal: AbortSignal
  readonly onState: ((state: StreamState) => void) | undefined
  /** No byte for this long (the server sends a comment every 15 s): the connection is dead. */
  readonly livenessMs: number
  readonly firstRetryMs: number
  readonly longestRetryMs: number
}

/**
 * Yields until the server ends the stream, the signal aborts, or an error comes that a repeat won't cure (then it throws). Reconnects for
 * ever, the first connection included, with pauses that double up to `longestRetryMs`.
 */
export async function* followEvents(options: FollowOptions): AsyncGenerator<ReceivedEvent<unknown>, void, void> {
  const { signal, onState } = options
  let lastId = options.after
  let retryInMs = options.firstRetryMs
  while (!signal.aborted) {
    try {
      using connection = holdOpen(await options.open(lastId), signal)
      onState?.({ connected: true })
      for await (const frame of readFrames(connection.response, options.livenessMs)) {
        if (frame.event === streamEnd) return
        if (frame.event === streamError) throw readErrorAnswer(500, frame.data, options.server)
        if (frame.id === undefined) continue
        lastId = frame.id
        retryInMs = options.firstRetryMs
        yield { id: frame.id, event: frame.event, data: JSON.parse(frame.data) }
      }
      throw new DialtoneError('host-unreachable', `${options.server} closed the stream of events.`)
    } catch (caught) {
      if (signal.aborted) return
      const error = asConnectionError(caught, options.server)
      if (!isPassing(error)) throw error
      onState?.({ connected: false, error, retryInMs })
    }
    await wait(retryInMs, undefined, { signal }).catch(() => {})
    retryInMs = Math.min(retryInMs * 2, options.longestRetryMs)
  }
}

function asConnectionError(error: unknown, server: string): DialtoneError {
  if (error instanceof DialtoneError) return error
  if (error instanceof SyntaxError) {
    return new DialtoneError('internal', `${server} sent an event that is not JSON.`, { cause: error })
  }
  return new DialtoneError('host-unreachable', `The stream of events from ${server} broke off.`, { cause: error })
}

type OpenConnection = { readonly response: IncomingMessage } & Disposable

function holdOpen(response: IncomingMessage, signal: AbortSignal): OpenConnection {
  const destroy = () => response.destroy()
  signal.addEventListener('abort', destroy, { once: true })
  if (signal.aborted) destroy()
  return {
    response,
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', destroy)
      destroy()
    },
  }
}

async function* readFrames(response: IncomingMessage, livenessMs: number): AsyncGenerator<Frame, void, void> {
  const take = createFrameReader()
  for await (const text of readText(response, livenessMs)) yield* take(text)
}

/** The reader's own slowness does not count against the connection: the time runs only while a byte is waited for. */
async function* readText(response: IncomingMessage, livenessMs: number): AsyncGenerator<string, void, void> {
  const decoder = new StringDecoder('utf8')
  const chunks: AsyncIterator<unknown, unknown> = response[Symbol.asyncIterator]()
  for (;;) {
    const timer = setTimeout(() => {
      response.destroy(new DialtoneError('host-unreachable', `No sign of life from the server for ${livenessMs} ms.`))
    }, livenessMs)
    try {
      const { done, value } = await chunks.next()
      if (done) return
      if (Buffer.isBuffer(value)) yield decoder.write(value)
    } finally {
      clearTimeout(timer)
    }
  }
}
