/** Connections of one client to one server: kept, bounded, given up soon when nobody answers. */
import { Agent, type ClientRequestArgs } from 'node:http'
import net, { type Socket } from 'node:net'
import tls, { type PeerCertificate, type SecureContext } from 'node:tls'
import { DialtoneError } from '../model/dialtone-error.ts'
import { expectIdentity, type PeerIdentity } from './tls-identity.ts'

export type ClientTls = {
  /** PEM of the only authority that is trusted. */
  readonly ca: string
  /** The client's own certificate and key, where the server asks for one. */
  readonly cert?: string
  readonly key?: string
  /** The name to verify the server's certificate against, if it isn't the host of the address. */
  readonly serverName?: string
  /** Verify instead that the server is this member of the cluster, whatever its address: for agents, whose addresses change. */
  readonly peer?: PeerIdentity
}

export type PoolOptions = {
  readonly host: string
  readonly port: number
  readonly tls?: ClientTls | undefined
  readonly localAddress?: string | undefined
  readonly connectTimeoutMs: number
  readonly maximumConnections: number
}

export type ConnectionPool = {
  /** Kept connections, for calls. */
  readonly calls: Agent
  /** A connection each, for streams, which would otherwise starve the calls. */
  readonly streams: Agent
  /** Closes what is idle: after one connection was found dead the others to that host are no better. */
  dropIdle(): void
  close(): void
}

const maximumStreams = 256
const keepAliveProbeMs = 10_000

/** Makes the pool; nothing is connected until it is used. */
export function makeConnectionPool(options: PoolOptions): ConnectionPool {
  const dial = makeDial(options)
  const calls = new DialingAgent(dial, { keepAlive: true, maxSockets: options.maximumConnections, scheduling: 'lifo' })
  const streams = new DialingAgent(dial, { keepAlive: false, maxSockets: maximumStreams })
  return {
    calls,
    streams,
    dropIdle: () => {
      for (const socket of Object.values(calls.freeSockets).flat()) socket?.destroy()
    },
    close: () => {
      calls.destroy()
      streams.destroy()
    },
  }
}

class DialingAgent extends Agent {
  readonly #dial: () => Socket

  constructor(dial: () => Socket, options: ConstructorParameters<typeof Agent>[0]) {
    super(options)
    this.#dial = dial
  }

  override createConnection(_options: ClientRequestArgs): Socket {
    return this.#dial()
  }
}

/** A function that opens one connection and destroys it unless it is ready (TLS included) in time. */
function makeDial(options: PoolOptions): () => Socket {
  const { host, port, connectTimeoutMs } = options
  const localAddress = options.localAddress === undefined ? {} : { localAddress: options.localAddress }
  const target = {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveProbeMs,
    ...localAddress,
  }
  const secure = options.tls && tlsOptions(options.tls, host)
  return () => {
    const socket = secure ? tls.connect({ ...target, ...secure }) : net.connect(target)
    const timer = setTimeout(() => {
      socket.destroy(
        new DialtoneError('host-unreachable', `${host}:${port} did not answer within ${connectTimeoutMs} ms.`),
      )
    }, connectTimeoutMs)
    const done = () => clearTimeout(timer)
    socket.once(secure ? 'secureConnect' : 'connect', done)
    socket.once('close', done)
    return socket
  }
}

type SecureOptions = {
  readonly secureContext: SecureContext
  readonly servername?: string
  readonly checkServerIdentity?: (name: string, certificate: PeerCertificate) => Error | undefined
}

/** The context is made once: reading the certificates costs more than a handshake. Sessions are not resumed: each handshake verifies. */
function tlsOptions({ ca, cert, key, serverName, peer }: ClientTls, host: string): SecureOptions {
  const own = cert === undefined || key === undefined ? {} : { cert, key }
  const name = serverName ?? host
  return {
    secureContext: tls.createSecureContext({ ca, minVersion: 'TLSv1.3', ...own }),
    // An IP address is no server name in TLS, and is verified without one.
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    ...(peer ? { checkServerIdentity: expectIdentity(peer) } : {}),
  }
}
