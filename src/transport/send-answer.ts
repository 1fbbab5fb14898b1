/** How each kind of answer leaves: JSON, a stream of events, bytes, or a joined socket. */
import assert from 'node:assert/strict'
import { Duplex, Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Route } from '../model/api/route.ts'
import { acceptUpgrade } from './accept-upgrade.ts'
import { unknownPaths } from './read-input.ts'
import { type SentEvent, sendEvents } from './send-events.ts'

/** A file: with a size the client sees how far it is. */
export type ByteAnswer = {
  readonly size?: number
  /** What it is; bytes, when left out. */
  readonly type?: string
  readonly stream: Readable
}

export type Exchange = {
  readonly app: FastifyInstance
  readonly route: Route
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Aborted when the caller goes away, or here when the server closes. */
  readonly controller: AbortController
  readonly pulseMs: number
  readonly checkAnswers: boolean
}

/** Sends what a handler answered, in the way that its route says. */
export async function sendAnswer(exchange: Exchange, answer: unknown): Promise<FastifyReply> {
  switch (exchange.route.stream) {
    case 'events':
      await sendEventStream(exchange, answer)
      return exchange.reply
    case 'upgrade':
      await joinCaller(exchange, answer)
      return exchange.reply
    case 'bytes':
      return sendBytes(exchange, answer)
    default:
      return sendJson(exchange, answer)
  }
}

function sendJson({ route, reply, checkAnswers }: Exchange, answer: unknown): FastifyReply {
  if (checkAnswers) checkAnswer(route, answer)
  reply.code(route.status ?? (route.response ? 200 : 204))
  if (!route.response) return reply.send()
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(answer))
}

function sendBytes({ route, reply }: Exchange, answer: unknown): FastifyReply {
  assert(isByteAnswer(answer), `${route.path} answers with bytes`)
  if (answer.size !== undefined) reply.header('content-length', answer.size)
  return reply.type(answer.type ?? 'application/octet-stream').send(answer.stream)
}

async function sendEventStream(exchange: Exchange, answer: unknown): Promise<void> {
  const { app, route, request, reply, controller, pulseMs } = exchange
  assert(isEventSource(answer), `${route.path} answers with events`)
  reply.hijack()
  endWithServer(app, controller, reply.raw)
  await sendEvents(reply.raw, exchange.checkAnswers ? checkedEvents(route, answer) : answer, {
    signal: controller.signal,
    pulseMs,
    onError: (error) => app.reportError(error, request),
  })
}

async function joinCaller({ app, route, request, reply, controller }: Exchange, answer: unknown): Promise<void> {
  assert(answer instanceof Duplex, `${route.path} answers with a stream`)
  const socket = await acceptUpgrade(request.raw, reply.raw, answer)
  reply.hijack()
  endWithServer(app, controller, socket)
  socket.once('close', () => controller.abort())
  controller.signal.addEventListener('abort', () => socket.destroy(), { once: true })
}

/** A server that closes does not wait for streams: it aborts them. */
function endWithServer(app: FastifyInstance, controller: AbortController, stream: NodeJS.WritableStream): void {
  app.openStreams.add(controller)
  stream.once('close', () => app.openStreams.delete(controller))
}

async function* checkedEvents(
  route: Route,
  events: AsyncIterable<SentEvent<unknown>>,
): AsyncGenerator<SentEvent<unknown>> {
  for await (const event of events) {
    checkAnswer(route, event.data)
    yield event
  }
}

/** What the contract does not promise must not leave, be it only a field too much, such as a secret. */
function checkAnswer(route: Route, answer: unknown): void {
  if (!route.response) return
  const wire: unknown = JSON.parse(JSON.stringify(answer))
  const result = route.response.safeParse(wire)
  assert(result.success, `${route.method} ${route.path} answers what it promises: ${result.error?.message}`)
  const extra = unknownPaths(wire, result.data, []).map((path) => path.map(String).join('.'))
  assert.deepEqual(extra, [], `${route.method} ${route.path} answers no more than it promises`)
}

function isEventSource(value: unknown): value is AsyncIterable<SentEvent<unknown>> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function isByteAnswer(value: unknown): value is ByteAnswer {
  return typeof value === 'object' && value !== null && 'stream' in value && value.stream instanceof Readable
}
