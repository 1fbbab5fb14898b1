/** Makes a server's routes from a contract table: who may call, what is accepted, and how each kind of answer leaves, in one place. */
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Contract, HandlerInput, Route } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { assertUpgradeWanted } from './accept-upgrade.ts'
import { admitCaller, type Caller, type Identify } from './caller.ts'
import { type RawInput, readInput, type UnknownFields } from './read-input.ts'
import { type ByteAnswer, sendAnswer } from './send-answer.ts'
import { defaultPulseMs, type SentEvent } from './send-events.ts'

/** The connection that a request came over, for the few handlers that sign somebody in. */
export type CallerLine = {
  readonly remoteAddress: string
  readonly isSecure: boolean
  /** Adds a `Set-Cookie` header to the answer. */
  setCookie(text: string): void
}

export type RequestScope = {
  /** Aborts when the caller is gone, so that nobody works for nobody. */
  readonly signal: AbortSignal
  /** Of `stream: 'events'`: the id after which to go on (`Last-Event-ID`, or `?after=`); undefined for a stream from now on. */
  readonly after: string | undefined
  /** Undefined for a call that came over no connection, as in a simulated world. */
  readonly line?: CallerLine | undefined
}

type Immutable<T> = unknown extends T
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Immutable<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Immutable<T[Key]> }
      : T
type Answered<R extends Route> = R extends { response: infer S extends z.ZodType } ? Immutable<z.input<S>> : void

/** What a handler answers: by the route's `stream`, else what the response schema takes in. */
export type HandlerAnswer<R extends Route> = R extends { stream: 'events' }
  ? AsyncIterable<SentEvent<Answered<R>>>
  : R extends { stream: 'bytes' }
    ? ByteAnswer
    : R extends { stream: 'upgrade' }
      ? Duplex
      : Answered<R>

/** Throws DialtoneError for what the caller should know; anything else is answered as `internal`. */
export type Handler<R extends Route> = (
  input: HandlerInput<R>,
  caller: Caller,
  scope: RequestScope,
) => HandlerAnswer<R> | Promise<HandlerAnswer<R>>

export type Handlers<C extends Contract> = { readonly [Name in keyof C]: Handler<C[Name]> }

export type MountOptions = {
  readonly identify: Identify
  /** Default `refuse`. `ignore` is for agents and controllers among themselves, which may be of different versions during an upgrade. */
  readonly unknownFields?: UnknownFields
  /** Tests set it: an answer that the response schema would not take, or has fields that it lacks, is `internal`. */
  readonly checkAnswers?: boolean
  /** How often a quiet event stream sends a comment. Default 15 s. */
  readonly pulseMs?: number
}

type UntypedHandler = (input: RawInput, caller: Caller, scope: RequestScope) => unknown

/** Registers every route of the contract on a server made by `makeServer`. The types tie each handler to its row of the table. */
// oxlint-disable-next-line max-params -- what is served, by what, and then the options.
export function mountContract<C extends Contract>(
  app: FastifyInstance,
  contract: C,
  handlers: Handlers<C>,
  options: MountOptions,
): void {
  const untyped = new Map(Object.entries<unknown>(handlers))
  for (const [name, route] of Object.entries(contract)) {
    const handler = untyped.get(name)
    assert(isHandler(handler), `the contract's route ${name} has a handler`)
    const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, parameter = '']) => parameter)
    assert.deepEqual(
      Object.keys(route.params?.shape ?? {}).sort(),
      inPath.sort(),
      `${name}: params are those of the path`,
    )
    mountRoute(app, { route, handler }, options)
  }
}

/** From here on a handler's input is what its route's schemas made, which the types of `Handlers` already promised it. */
function isHandler(value: unknown): value is UntypedHandler {
  return typeof value === 'function'
}

type HandledRoute = { readonly route: Route; readonly handler: UntypedHandler }

function mountRoute(app: FastifyInstance, { route, handler }: HandledRoute, options: MountOptions): void {
  const callers = new WeakMap<FastifyRequest, Caller>()
  const sending = { pulseMs: options.pulseMs ?? defaultPulseMs, checkAnswers: options.checkAnswers ?? false }
  app.route({
    method: route.method,
    url: route.path,
    exposeHeadRoute: route.stream === undefined,
    // Before the body is read: nobody's megabyte is parsed who may not call.
    onRequest: async (request) => {
      callers.set(request, await admitCaller(request, route.role, options.identify))
    },
    handler: async (request, reply) => {
      const caller = callers.get(request)
      assert(caller, 'a request reaches its handler through admission')
      if (route.stream === 'upgrade') assertUpgradeWanted(request.raw)
      const { after, query } = takeAfter(route, request)
      const raw = { params: request.params, query, body: request.body }
      const input = readInput(route, raw, options.unknownFields ?? 'refuse')
      const controller = abortWithCaller(reply.raw)
      const line = lineOf(request, reply)
      const answer = await handler(input, caller, { signal: controller.signal, after, line })
      return sendAnswer({ app, route, request, reply, controller, ...sending }, answer)
    },
  })
}

function lineOf(request: FastifyRequest, reply: FastifyReply): CallerLine {
  return {
    remoteAddress: request.ip,
    isSecure: request.protocol === 'https',
    setCookie: (text) => void reply.header('set-cookie', text),
  }
}

/** A resuming reader sends the header, a first one the query; a route whose own query has `after` gets the same there. */
function takeAfter(route: Route, request: FastifyRequest): { after: string | undefined; query: unknown } {
  if (route.stream !== 'events' || !isRecord(request.query)) return { after: undefined, query: request.query }
  const { after: asked, ...query } = request.query
  const after = request.headers['last-event-id'] ?? asked
  if (after === undefined) return { after: undefined, query }
  if (typeof after !== 'string') throw new DialtoneError('invalid-input', 'after must be given once.')
  return { after, query: route.query && 'after' in route.query.shape ? { ...query, after } : query }
}

function abortWithCaller(response: ServerResponse): AbortController {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new DialtoneError('cancelled', 'The caller went away.'))
  })
  return controller
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
