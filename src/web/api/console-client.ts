/** The typed client of the contract in a browser: calls by a route's name, and streams of events that resume. */
import { consoleHeader } from '../../model/access.ts'
import { type ApiContract, apiContract } from '../../model/api/contract.ts'
import type { CallInput, CallOutput, Route } from '../../model/api/route.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { readErrorAnswer } from '../../transport/error-envelope.ts'
import { createFrameReader, type Frame, isPassing } from '../../transport/event-frames.ts'
import { parseAnswer, readAnswer } from '../../transport/read-contract-answer.ts'
import { streamEnd, streamError } from '../../transport/stream-protocol.ts'
import { writeRequest } from '../../transport/write-request.ts'

type Kind<Name extends keyof ApiContract> = ApiContract[Name] extends { stream: infer Stream } ? Stream : 'call'
export type CallName = { [Name in keyof ApiContract]: Kind<Name> extends 'call' ? Name : never }[keyof ApiContract]
export type UpgradeName = {
  [Name in keyof ApiContract]: Kind<Name> extends 'upgrade' ? Name : never
}[keyof ApiContract]
export type StreamName = { [Name in keyof ApiContract]: Kind<Name> extends 'events' ? Name : never }[keyof ApiContract]

export type FollowOptions = {
  readonly after: number | undefined
  /** When it aborts, the iteration ends without an error. */
  readonly signal: AbortSignal
  /** Told when the connection is there (null), and why it is not each time that it is lost or cannot be made. */
  readonly onState: (lost: DialtoneError | null) => void
}

export type ConsoleClient = {
  /** Throws DialtoneError: what the controller answered, or `host-unreachable` when it didn't. */
  call<Name extends CallName>(
    name: Name,
    input: CallInput<ApiContract[Name]>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<CallOutput<ApiContract[Name]>>
  /** Each event once and in order, over reconnects that last as long as it takes. Throws what a repeat would not cure. */
  events<Name extends StreamName>(
    name: Name,
    input: CallInput<ApiContract[Name]>,
    options: FollowOptions,
  ): AsyncIterable<{ readonly id: number; readonly data: CallOutput<ApiContract[Name]> }>
  /** A two-way stream of bytes. Says itself when it is open, and when it isn't any more. */
  openSocket<Name extends UpgradeName>(name: Name, input: CallInput<ApiContract[Name]>): WebSocket
}

export type Surroundings = {
  readonly fetch: typeof fetch
  /** A web socket to this path of the controller. */
  openSocket(path: string): WebSocket
  /** Resolves after that time, or at once when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>
}

const callWithinMs = 20_000
/** The controller sends a sign of life every 15 s. */
const silenceMs = 40_000
const firstRetryMs = 250
const longestRetryMs = 5_000
const server = 'the controller'

export function createConsoleClient({ fetch, openSocket, sleep }: Surroundings): ConsoleClient {
  const send = async (
    route: Route,
    input: unknown,
    more: { signal: AbortSignal; headers?: Record<string, string> },
  ) => {
    const { method, path, body } = writeRequest(route, input)
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const response = await fetch(path, {
      method,
      headers: { [consoleHeader]: '1', ...type, ...more.headers },
      credentials: 'same-origin',
      redirect: 'error',
      signal: more.signal,
      ...(body === undefined ? {} : { body }),
    }).catch((cause: unknown) => {
      throw new DialtoneError('host-unreachable', 'The controller does not answer.', { cause })
    })
    if (response.ok) return response
    throw readErrorAnswer(response.status, await response.text(), server)
  }

  return {
    async call(name, input, options) {
      const route: ApiContract[typeof name] = apiContract[name]
      const limit = AbortSignal.timeout(callWithinMs)
      const signal = options?.signal === undefined ? limit : AbortSignal.any([limit, options.signal])
      const response = await send(route, input, { signal })
      return readAnswer(route, await response.text(), server)
    },
    openSocket(name, input) {
      const route: ApiContract[typeof name] = apiContract[name]
      return openSocket(writeRequest(route, input).path)
    },
    async *events(name, input, { after, signal, onState }) {
      const route: ApiContract[typeof name] = apiContract[name]
      let lastId = after
      let retryInMs = firstRetryMs
      while (!signal.aborted) {
        // Ends the connection of this round, whatever the caller's signal does.
        const round = new AbortController()
        const both = AbortSignal.any([signal, round.signal])
        try {
          const headers: Record<string, string> = { accept: 'text/event-stream' }
          if (lastId !== undefined) headers['last-event-id'] = String(lastId)
          const response = await send(route, input, { signal: both, headers })
          onState(null)
          for await (const frame of readFrames(response, round)) {
            if (frame.event === streamEnd) return
            if (frame.event === streamError) throw readErrorAnswer(500, frame.data, server)
            if (frame.id === undefined) continue
            lastId = Number(frame.id)
            retryInMs = firstRetryMs
            yield { id: lastId, data: parseAnswer(route, JSON.parse(frame.data), server) }
          }
          throw new DialtoneError('host-unreachable', 'The controller closed the connection.')
        } catch (caught) {
          if (signal.aborted) return
          const error = asDialtoneError(caught)
          if (!isPassing(error)) throw error
          onState(error)
        } finally {
          round.abort()
        }
        await sleep(retryInMs, signal)
        retryInMs = Math.min(2 * retryInMs, longestRetryMs)
      }
    },
  }
}

async function* readFrames(response: Response, round: AbortController): AsyncGenerator<Frame, void, void> {
  const take = createFrameReader()
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (reader === undefined) return
  for (;;) {
    const silence = setTimeout(() => round.abort(), silenceMs)
    try {
      const { done, value } = await reader.read()
      if (done) return
      yield* take(value)
    } finally {
      clearTimeout(silence)
    }
  }
}

/** What anything that was thrown means for a person. */
export function asDialtoneError(error: unknown): DialtoneError {
  if (error instanceof DialtoneError) return error
  return new DialtoneError('host-unreachable', 'The connection to the controller broke off.', { cause: error })
}
