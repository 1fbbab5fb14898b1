/** Who a certificate of the cluster's authority speaks for: one URI among its alternative names, read the same way by both sides. */
import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { type PeerCertificate, TLSSocket } from 'node:tls'
import { DialtoneError } from '../model/dialtone-error.ts'
import { type HostId, hostIdSchema } from '../model/ids.ts'
import type { Caller, Identify } from './caller.ts'

export type PeerIdentity =
  | { readonly kind: 'host'; readonly clusterId: string; readonly hostId: HostId }
  | { readonly kind: 'controller'; readonly clusterId: string; readonly name: string }

const uriPattern = /^dialtone:\/\/([a-z0-9-]+)\/(host|controller)\/([a-z0-9-]+)$/

/** `dialtone://<clusterId>/host/<hostId>` or `dialtone://<clusterId>/controller/<name>`. */
export function identityUri(identity: PeerIdentity): string {
  return `dialtone://${identity.clusterId}/${identityName(identity)}`
}

/** The identity in a URI, or undefined if it is none of ours. */
export function parseIdentityUri(uri: string): PeerIdentity | undefined {
  const [, clusterId, kind, name] = uriPattern.exec(uri) ?? []
  if (clusterId === undefined || name === undefined) return undefined
  if (kind === 'controller') return { kind, clusterId, name }
  const hostId = hostIdSchema.safeParse(name)
  return hostId.success ? { kind: 'host', clusterId, hostId: hostId.data } : undefined
}

const known = new WeakMap<Socket, PeerIdentity | undefined>()

/** Whom the peer's certificate names, if this TLS connection verified it; undefined for every other connection. Cheap to ask again. */
export function peerIdentity(socket: Socket): PeerIdentity | undefined {
  if (!known.has(socket)) known.set(socket, readPeerIdentity(socket))
  return known.get(socket)
}

function readPeerIdentity(socket: Socket): PeerIdentity | undefined {
  // A connection without a certificate can count as authorized too (a resumed session): the certificate itself must be there.
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const certificate = socket.getPeerX509Certificate()
  return certificate && identityInNames(certificate.subjectAltName)
}

/** Names are listed as `URI:…, DNS:…`. Node quotes names with odd characters; ours have none, so a quote means a forged list. */
function identityInNames(names: string | undefined): PeerIdentity | undefined {
  if (names === undefined || names.includes('"')) return undefined
  const uris = names.split(', ').flatMap((name) => (name.startsWith('URI:') ? [name.slice(4)] : []))
  const [uri] = uris
  return uri !== undefined && uris.length === 1 ? parseIdentityUri(uri) : undefined
}

/**
 * Identifies callers by certificate, for `mountContract`. Agents accept `controller` only, so that no host can give orders to another;
 * the controller's agent listener accepts `host`. Throws `unauthenticated` without a verified certificate of this cluster.
 */
export function identifyByCertificate(clusterId: string, accepted: readonly PeerIdentity['kind'][]): Identify {
  return ({ raw }): Caller => {
    const identity = peerIdentity(raw.socket)
    if (!identity || identity.clusterId !== clusterId) {
      throw new DialtoneError('unauthenticated', 'This needs a certificate of this cluster’s authority.')
    }
    const name = identityName(identity)
    if (!accepted.includes(identity.kind)) throw new DialtoneError('forbidden', `${name} may not call this.`)
    return identity.kind === 'host' ? { name, role: 'host', hostId: identity.hostId } : { name, role: 'host' }
  }
}

/** For a client: accepts a verified server certificate only if it names `expected`, whatever address it was reached by. */
export function expectIdentity(
  expected: PeerIdentity,
): (serverName: string, certificate: PeerCertificate) => Error | undefined {
  return (serverName, certificate) => {
    const found = identityInNames(new X509Certificate(certificate.raw).subjectAltName)
    if (found && identityUri(found) === identityUri(expected)) return undefined
    const who = found ? identityName(found) : 'no member of a cluster'
    return new DialtoneError('host-unreachable', `At ${serverName} answers ${who}, not ${identityName(expected)}.`)
  }
}

function identityName(identity: PeerIdentity): string {
  return identity.kind === 'host' ? `host/${identity.hostId}` : `controller/${identity.name}`
}
