/** One request and its answer over a pool's connection, with every failure of the way there as a DialtoneError. */
import { type Agent, type ClientRequest, type IncomingMessage, request as startRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { CallDeadline } from './call-deadline.ts'
import { rawProtocol } from './stream-protocol.ts'

export type Outgoing = {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** The server, as sentences name it: host and port. */
export type Destination = { readonly agent: Agent; readonly server: string; readonly deadline: CallDeadline }

/** A kept connection broke before any byte of the answer: most likely the server had closed it, but it may also have died at work. */
export class StaleConnectionError extends Error {
  asUnreachable(server: string): DialtoneError {
    return new DialtoneError('host-unreachable', `No answer from ${server}: the kept connection was reset.`, {
      cause: this,
    })
  }
}

const maximumAnswerBytes = 64 * 1024 * 1024

/** Sends and resolves with the answer's head; its body is the caller's to read. The deadline destroys the connection at any time. */
export function sendRequest(outgoing: Outgoing, destination: Destination): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = begin(outgoing, destination, reject)
  request.once('response', resolve)
  request.end(outgoing.body)
  return promise
}

/** Sends and resolves with the joined socket, or with the answer that refuses it. */
export function sendUpgrade(outgoing: Outgoing, destination: Destination): Promise<Duplex | IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex | IncomingMessage>()
  const headers = { ...outgoing.headers, connection: 'Upgrade', upgrade: rawProtocol }
  const request = begin({ ...outgoing, headers }, destination, reject)
  request.once('response', resolve)
  request.once('upgrade', (_response, socket, head) => {
    if (head.length > 0) socket.unshift(head)
    resolve(socket)
  })
  request.end()
  return promise
}

function begin(outgoing: Outgoing, destination: Destination, reject: (error: Error) => void): ClientRequest {
  const { method, path, headers } = outgoing
  const { agent, server, deadline } = destination
  const request = startRequest({ agent, method, path, headers, setHost: false })
  request.on('error', (cause) => {
    const failure = deadline.failure()
    if (failure) return reject(failure)
    if (request.reusedSocket && isReset(cause)) return reject(new StaleConnectionError('stale', { cause }))
    reject(connectionError(cause, server))
  })
  deadline.bind(request)
  return request
}

/** The whole answer as text. Rejects with `host-unreachable` when the connection breaks in the middle. */
export function readText(response: IncomingMessage, { server, deadline }: Destination): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  let size = 0
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > maximumAnswerBytes)
      response.destroy(new DialtoneError('internal', `${server} answered more than 64 MiB.`))
  })
  response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
  response.once('error', (error) => reject(deadline.failure() ?? connectionError(error, server)))
  return promise
}

const isReset = (error: Error): boolean => 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up now',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to its network',
  ETIMEDOUT: 'the connection timed out',
}

/** What a failure of the connection means. A server that cannot prove who it is counts as unreachable: the right one was not reached. */
export function connectionError(cause: Error, server: string): DialtoneError {
  if (cause instanceof DialtoneError) return cause
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
  if (code.startsWith('ERR_SSL') && code.includes('ALERT')) {
    return new DialtoneError('unauthenticated', `${server} refuses this certificate, or wants one.`, { cause })
  }
  return new DialtoneError('host-unreachable', `No answer from ${server}: ${reasons[code] ?? cause.message}.`, {
    cause,
  })
}
