/** A server with bounds on everything a caller can do to it, errors in one shape, and an end that does not wait for streams. */
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Logger } from '../model/logger.ts'
import { isUpgradeOffered, routeUpgrades } from './accept-upgrade.ts'
import { answerError, answerWith } from './error-envelope.ts'

declare module 'fastify' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- only an interface adds to another's.
  interface FastifyInstance {
    /** Event streams and joined sockets that are open; aborted when the server closes. */
    openStreams: Set<AbortController>
    /** Logs what the caller is not told: faults of the outside in a line, our own with their stack. */
    reportError(error: unknown, request: FastifyRequest): void
  }
}

export type ServerTls = {
  /** PEM. Client certificates are judged by this authority; it is also sent after `cert`, so that a joining agent sees it. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** `required`: others fail in the handshake. `optional`: `identify` decides, so that a host can join. Default: none is asked for. */
  readonly requestClientCertificate?: 'required' | 'optional'
}

export type ServerOptions = {
  /** Without it plain HTTP: for the loopback address only. */
  readonly tls?: ServerTls
  readonly logger?: Logger
  /** Default 1024; more are closed as soon as they connect. */
  readonly maximumConnections?: number
  /** How long `close()` waits for requests in flight. Default 1000. */
  readonly closeGraceMs?: number
}

const maximumBodyBytes = 1024 * 1024
const requestReceivedWithinMs = 30_000
const headersReceivedWithinMs = 10_000
/** Longer than any pause between two calls of a client that is alive, so that connections are kept. */
const keepAliveMs = 75_000

/** Makes a server for `mountContract`. `close()` aborts streams at once and waits at most `closeGraceMs` for the rest. */
export function makeServer(options: ServerOptions = {}): FastifyInstance {
  const app: FastifyInstance = fastify({
    logger: false,
    bodyLimit: maximumBodyBytes,
    forceCloseConnections: 'idle',
    serverFactory: (handler) => makeHttpServer(options, handler, () => app),
    // Contracts are zod's; without this fastify loads a second schema compiler (10 MiB) that nothing uses.
    schemaController: { compilersFactory: { buildValidator: noCompiler, buildSerializer: noCompiler } },
    frameworkErrors: (error, _request, reply) => answerUndecodable(reply.raw, error),
    clientErrorHandler: answerMalformed,
  })
  app.removeContentTypeParser('text/plain')
  app.decorate('openStreams', new Set<AbortController>())
  app.decorate('reportError', (error: unknown, request: FastifyRequest) => report(options.logger, error, request))
  answerErrors(app)
  app.addHook('preClose', async () => {
    for (const controller of app.openStreams) controller.abort(new DialtoneError('cancelled', 'The server is closing.'))
    setTimeout(() => app.server.closeAllConnections(), options.closeGraceMs ?? 1000).unref()
  })
  return app
}

/** Starts listening and tells the port, which was chosen by the system if `port` is 0. Throws `machine-setup` if it cannot. */
export async function listen(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DialtoneError('machine-setup', `Cannot listen on ${host} port ${port}: ${reason}.`, { cause })
  }
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

function makeHttpServer(
  options: ServerOptions,
  handler: http.RequestListener,
  app: () => FastifyInstance,
): http.Server {
  const bounds = {
    requestTimeout: requestReceivedWithinMs,
    headersTimeout: headersReceivedWithinMs,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
    // Other upgrades that clients offer by habit (h2c) are left aside, and the request answered as it is.
    shouldUpgradeCallback: isUpgradeOffered,
  }
  const server = options.tls
    ? https.createServer({ ...bounds, ...tlsServerOptions(options.tls) }, handler)
    : http.createServer(bounds, handler)
  server.maxConnections = options.maximumConnections ?? 1024
  server.on('upgrade', routeUpgrades(app))
  return server
}

function tlsServerOptions({ ca, cert, key, requestClientCertificate }: ServerTls): https.ServerOptions {
  return {
    ca,
    cert: `${cert.trimEnd()}\n${ca}`,
    key,
    minVersion: 'TLSv1.3',
    handshakeTimeout: 5000,
    requestCert: requestClientCertificate !== undefined,
    rejectUnauthorized: requestClientCertificate === 'required',
  }
}

function noCompiler() {
  return () => () => {
    throw new Error('schemas of routes are zod and never reach fastify')
  }
}

function answerErrors(app: FastifyInstance): void {
  const routes: { readonly method: string; readonly segments: readonly string[] }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, segments: url.split('/') })
  })
  app.setErrorHandler((error, request, reply) => {
    app.reportError(error, request)
    const { status, envelope } = answerError(error)
    reply.code(status).send(envelope)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const methods = routes.filter(({ segments }) => matches(segments, path.split('/'))).map(({ method }) => method)
    const called = `${request.method} ${path}`
    const { status, envelope } =
      methods.length > 0
        ? answerWith('invalid-input', `${called} does not exist; this path takes ${methods.join(', ')}.`, {
            status: 405,
          })
        : answerWith('not-found', `There is no route ${called}.`, {})
    if (methods.length > 0) reply.header('allow', methods.join(', '))
    reply.code(status).send(envelope)
  })
}

const matches = (pattern: readonly string[], path: readonly string[]): boolean =>
  pattern.length === path.length && pattern.every((part, index) => part.startsWith(':') || part === path[index])

/** An address that cannot be decoded never reaches a route, nor the hooks of one. */
function answerUndecodable(response: http.ServerResponse, error: unknown): void {
  const { status, envelope } = answerError(error)
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(envelope))
}

/** What is not HTTP at all gets its answer on the bare socket. */
function answerMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const { status, envelope } = answerWith('invalid-input', 'This is not a request that HTTP allows.', {})
  const body = JSON.stringify(envelope)
  const head = `HTTP/1.1 ${status} Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
  socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`)
}

function report(logger: Logger | undefined, error: unknown, request: FastifyRequest): void {
  const { status, envelope } = answerError(error)
  if (!logger || status < 500 || request.raw.socket.destroyed) return
  const fields = { method: request.method, path: request.url.split('?', 1)[0], code: envelope.error.code }
  if (envelope.error.code === 'internal') logger.error('request.failed', { ...fields, error })
  else logger.warn('request.failed', { ...fields, message: envelope.error.message })
}
