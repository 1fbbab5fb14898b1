/**
 * HTTP upgrades go through the same routes as every request, so that identity, role and input are checked, and refusals answered, in one
 * place. A route that accepts one takes the client's socket here and joins it with its own stream.
 */
import { type IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { DialtoneError } from '../model/dialtone-error.ts'
import { joinStreams } from './join-streams.ts'
import { rawProtocol } from './stream-protocol.ts'

type PendingUpgrade = { readonly protocol: string; readonly socket: Socket; readonly head: Buffer }

const pendingUpgrades = new WeakMap<IncomingMessage, PendingUpgrade>()
const maximumFrameBytes = 1024 * 1024

export function isUpgradeOffered(request: IncomingMessage): boolean {
  const protocol = request.headers.upgrade?.toLowerCase()
  return protocol === rawProtocol || protocol === 'websocket'
}

/** Hands every upgrade that a server hears of to the routes. */
export function routeUpgrades(
  app: () => FastifyInstance,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return (request, socket, head) => {
    if (!(socket instanceof Socket)) return void socket.destroy()
    socket.on('error', () => socket.destroy())
    pendingUpgrades.set(request, { protocol: request.headers.upgrade?.toLowerCase() ?? '', socket, head })
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    app().routing(request, response)
  }
}

/** Throws `invalid-input` when the request asks for no upgrade: to be called before anything is opened for it. */
export function assertUpgradeWanted(request: IncomingMessage): void {
  if (pendingUpgrades.has(request)) return assertSameOrigin(request)
  throw new DialtoneError('invalid-input', `This is a stream: send Connection: Upgrade and Upgrade: ${rawProtocol}.`)
}

/** A page of another site can make a browser open a WebSocket with the user's cookies; it cannot hide where it comes from. */
function assertSameOrigin(request: IncomingMessage): void {
  const { origin, host } = request.headers
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) return
  throw new DialtoneError('forbidden', `The page ${origin} may not open a stream here.`)
}

/** Answers 101 and joins the client with `stream`. Returns the client's socket, which the caller destroys when the server closes. */
export async function acceptUpgrade(
  request: IncomingMessage,
  response: ServerResponse,
  stream: Duplex,
): Promise<Socket> {
  const pending = pendingUpgrades.get(request)
  if (!pending || pending.socket.destroyed) {
    stream.destroy()
    throw new DialtoneError('cancelled', 'The caller went away.')
  }
  const { socket, head } = pending
  pendingUpgrades.delete(request)
  response.detachSocket(socket)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 10_000)
  if (pending.protocol === 'websocket') return acceptWebSocket(request, pending, stream)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${rawProtocol}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
  joinStreams(socket, stream)
  return socket
}

/** Loads `ws` with the first browser: agents never need it. */
async function acceptWebSocket(request: IncomingMessage, pending: PendingUpgrade, stream: Duplex): Promise<Socket> {
  const { WebSocketServer, createWebSocketStream } = await import('ws')
  const server = new WebSocketServer({ noServer: true, maxPayload: maximumFrameBytes, perMessageDeflate: false })
  // A handshake that `ws` refuses never calls back: the stream is then closed with the socket.
  const closeStream = () => stream.destroy()
  pending.socket.once('close', closeStream)
  server.handleUpgrade(request, pending.socket, pending.head, (client) => {
    pending.socket.off('close', closeStream)
    joinStreams(createWebSocketStream(client), stream)
  })
  return pending.socket
}
