/** The typed client of a contract: CLI, controllers and agents call by a route's name and get what the table promises, or a DialtoneError. */
import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { addAbortSignal, type Duplex, type Readable } from 'node:stream'
import type { CallInput, CallOutput, Contract, Route } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { type CallDeadline, startDeadline } from './call-deadline.ts'
import { type ClientTls, type ConnectionPool, makeConnectionPool } from './connection-pool.ts'
import { readErrorAnswer } from './error-envelope.ts'
import { followEvents, type ReceivedEvent, type StreamState } from './follow-events.ts'
import {
  type Destination,
  type Outgoing,
  readText,
  StaleConnectionError,
  sendRequest,
  sendUpgrade,
} from './http-exchange.ts'
import { parseAnswer, readAnswer } from './read-contract-answer.ts'
import { writeRequest } from './write-request.ts'

export type ClientOptions = {
  /** `http://` or `https://`, host and port; a path before the contract's is allowed. */
  readonly baseUrl: string
  /** Sent as bearer token. */
  readonly token?: string
  /** Needed for https: system authorities are never trusted. */
  readonly tls?: ClientTls
  readonly localAddress?: string
  /** Of a whole call, connecting included. Default 10 s. */
  readonly timeoutMs?: number
  /** A host whose link is down does not even refuse. Default 2 s, TLS included. */
  readonly connectTimeoutMs?: number
  /** Calls at the same time; more wait, within their deadline. Default 16. Streams are apart. */
  readonly maximumConnections?: number
  readonly events?: { readonly livenessMs?: number; readonly firstRetryMs?: number; readonly longestRetryMs?: number }
}

export type CallOptions = { readonly signal?: AbortSignal; readonly timeoutMs?: number }

export type FollowEventsOptions = {
  /** Go on after this id; without it from now on (or as the route says). */
  readonly after?: string | number
  /** When it aborts, the iteration ends without an error. */
  readonly signal?: AbortSignal
  readonly onState?: (state: StreamState) => void
}

export type Download = { readonly size: number | undefined; readonly stream: Readable }

/** The routes of a contract that are called, or answer with a stream of this kind. */
export type Named<C extends Contract, Kind> = {
  [Name in keyof C]: C[Name] extends { stream: infer S }
    ? S extends Kind
      ? Name
      : never
    : Kind extends 'call'
      ? Name
      : never
}[keyof C]

export type ContractClient<C extends Contract> = {
  /**
   * Calls a route. Errors: what the server answered, with its code and detail; `host-unreachable` when there was no answer;
   * `deadline-exceeded`, after which the call may still be carried out; `cancelled` when the signal aborted.
   */
  call<Name extends Named<C, 'call'>>(
    name: Name,
    input: CallInput<C[Name]>,
    options?: CallOptions,
  ): Promise<CallOutput<C[Name]>>
  /** Each event once and in order, over reconnects that last as long as it takes. Throws what a repeat would not cure. */
  events<Name extends Named<C, 'events'>>(
    name: Name,
    input: CallInput<C[Name]>,
    options?: FollowEventsOptions,
  ): AsyncIterable<ReceivedEvent<CallOutput<C[Name]>>>
  /** Resolves with the answer's head; the deadline is for this. A stream that is silent for 30 s, or the signal, destroys it. */
  download<Name extends Named<C, 'bytes'>>(
    name: Name,
    input: CallInput<C[Name]>,
    options?: CallOptions,
  ): Promise<Download>
  /** A two-way stream, from here on the caller's to end. The deadline is for the opening. When the server ends it, it is over both ways. */
  upgrade<Name extends Named<C, 'upgrade'>>(
    name: Name,
    input: CallInput<C[Name]>,
    options?: CallOptions,
  ): Promise<Duplex>
  /** Closes every connection; what is under way fails, streams of events end. */
  close(): Promise<void>
}

const downloadSilenceMs = 30_000
const repeatable: ReadonlySet<string> = new Set(['GET', 'PUT', 'DELETE'])

/** Makes a client of the server at `baseUrl`. Nothing is connected until the first call. */
export function createContractClient<C extends Contract>(contract: C, options: ClientOptions): ContractClient<C> {
  const link = makeLink(options)
  const { pool, server, closing } = link
  return {
    call: async (name, input, limits) => {
      const route = routeOf(contract, name)
      using deadline = startCall(link, route, limits)
      const text = await exchange(
        makeOutgoing(link, route, input),
        { agent: pool.calls, server, deadline },
        pool.dropIdle,
      )
      return readAnswer(route, text, server)
    },
    events: (name, input, follow = {}) => {
      const route = routeOf(contract, name)
      const signal = follow.signal ? AbortSignal.any([follow.signal, closing.signal]) : closing.signal
      const open = (after: string | undefined) => {
        const { headers, ...rest } = makeOutgoing(link, route, input)
        const resume = after === undefined ? {} : { 'last-event-id': after }
        const outgoing = { ...rest, headers: { ...headers, accept: 'text/event-stream', ...resume } }
        return openStream(outgoing, link, startCall(link, route, { signal }))
      }
      const after = follow.after === undefined ? undefined : String(follow.after)
      const events = followEvents({
        open,
        server,
        after,
        signal,
        onState: follow.onState,
        ...followTimes(options.events),
      })
      return readEvents(route, events, server)
    },
    download: async (name, input, limits) => {
      const route = routeOf(contract, name)
      const stream = await openStream(makeOutgoing(link, route, input), link, startCall(link, route, limits))
      stream.setTimeout(downloadSilenceMs, () => stream.destroy(silence(server)))
      if (limits?.signal) addAbortSignal(limits.signal, stream)
      const size = stream.headers['content-length']
      return { size: size === undefined ? undefined : Number(size), stream }
    },
    upgrade: async (name, input, limits) => {
      const route = routeOf(contract, name)
      using deadline = startCall(link, route, limits)
      const destination = { agent: pool.streams, server, deadline }
      const answer = await sendUpgrade(makeOutgoing(link, route, input), destination)
      if (answer instanceof IncomingMessage) throw await refusal(answer, destination)
      return answer
    },
    close: async () => {
      closing.abort()
      pool.close()
    },
  }
}

/** What all calls of one client have in common. */
type Link = {
  readonly base: URL
  /** Host and port, as sentences name the server. */
  readonly server: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly pool: ConnectionPool
  readonly closing: AbortController
}

function makeLink(options: ClientOptions): Link {
  const base = new URL(options.baseUrl)
  const isSecure = base.protocol === 'https:'
  assert(!isSecure || options.tls, 'an https client is told whom to trust')
  return {
    base,
    server: base.host,
    headers: { host: base.host, ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }) },
    timeoutMs: options.timeoutMs ?? 10_000,
    pool: makeConnectionPool({
      host: base.hostname.replaceAll(/^\[|\]$/g, ''),
      port: Number(base.port || (isSecure ? 443 : 80)),
      tls: isSecure ? options.tls : undefined,
      localAddress: options.localAddress,
      connectTimeoutMs: options.connectTimeoutMs ?? 2000,
      maximumConnections: options.maximumConnections ?? 16,
    }),
    closing: new AbortController(),
  }
}

function followTimes({ livenessMs = 40_000, firstRetryMs = 100, longestRetryMs = 5000 }: ClientOptions['events'] = {}) {
  return { livenessMs, firstRetryMs, longestRetryMs }
}

function startCall({ server, timeoutMs }: Link, route: Route, limits: CallOptions | undefined): CallDeadline {
  const what = `${route.method} ${route.path} at ${server}`
  return startDeadline({ timeoutMs: limits?.timeoutMs ?? timeoutMs, signal: limits?.signal, what })
}

/** The answer, good and not yet read. The deadline ends with its head. */
async function openStream(outgoing: Outgoing, { pool, server }: Link, until: CallDeadline): Promise<IncomingMessage> {
  using deadline = until
  const destination = { agent: pool.streams, server, deadline }
  const response = await sendRequest(outgoing, destination)
  if (isGood(response)) return response
  throw await refusal(response, destination)
}

async function refusal(response: IncomingMessage, destination: Destination): Promise<DialtoneError> {
  return readErrorAnswer(response.statusCode ?? 0, await readText(response, destination), destination.server)
}

function routeOf<C extends Contract, Name extends keyof C>(contract: C, name: Name): C[Name] {
  const route = contract[name]
  assert(route, `the contract has a route ${String(name)}`)
  return route
}

const silence = (server: string) =>
  new DialtoneError('host-unreachable', `The download from ${server} stood still for ${downloadSilenceMs / 1000} s.`)

function makeOutgoing({ base, headers }: Link, route: Route, input: unknown): Outgoing {
  const { method, path, body } = writeRequest(route, input)
  return {
    method,
    path: `${base.pathname.replace(/\/$/, '')}${path}`,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body,
  }
}

/** The text of a good answer. A kept connection that proves stale is replaced once, where a repeat does no harm. */
async function exchange(outgoing: Outgoing, destination: Destination, dropIdle: () => void): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await sendRequest(outgoing, destination)
      const text = await readText(response, destination)
      if (isGood(response)) return text
      throw readErrorAnswer(response.statusCode ?? 0, text, destination.server)
    } catch (error) {
      if (isConnectionFault(error)) dropIdle()
      if (!(error instanceof StaleConnectionError)) throw error
      if (attempt > 1 || !repeatable.has(outgoing.method)) throw error.asUnreachable(destination.server)
    }
  }
}

const isGood = ({ statusCode = 0 }: IncomingMessage): boolean => statusCode >= 200 && statusCode < 300

/** Signs that the link, and so every other kept connection to this server, is dead. */
function isConnectionFault(error: unknown): boolean {
  if (error instanceof StaleConnectionError) return true
  return error instanceof DialtoneError && (error.code === 'deadline-exceeded' || error.code === 'host-unreachable')
}

async function* readEvents<R extends Route>(route: R, events: AsyncIterable<ReceivedEvent<unknown>>, server: string) {
  for await (const { id, event, data } of events) yield { id, event, data: parseAnswer(route, data, server) }
}
