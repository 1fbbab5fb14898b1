/** How an agent that trusts nobody yet comes to trust the right authority: it knows the fingerprint from its join token. */
import { X509Certificate } from 'node:crypto'
import tls, { type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { DialtoneError } from '../model/dialtone-error.ts'
import { connectionError } from './http-exchange.ts'
import { certificateFingerprint } from './join-token.ts'

export type FetchAuthorityOptions = {
  readonly host: string
  readonly port: number
  /** From the join token. */
  readonly fingerprint: string
  readonly timeoutMs: number
}

/**
 * Fetches the authority's certificate (PEM) from a controller's TLS handshake and verifies it by its fingerprint. Nothing is sent over this
 * connection; the join itself goes over another, verified by this authority. Throws `unauthenticated` if the server belongs to another one.
 */
export async function fetchAuthorityByFingerprint(options: FetchAuthorityOptions): Promise<string> {
  const { host, port, fingerprint } = options
  const chain = await presentedChain(options)
  const authority = chain.find((certificate) => certificateFingerprint(certificate) === fingerprint)
  const [leaf] = chain
  if (!authority?.ca || !leaf?.checkIssued(authority) || !leaf.verify(authority.publicKey)) {
    const sentence = `The server at ${host}:${port} does not belong to the cluster that the join token is of.`
    throw new DialtoneError('unauthenticated', sentence)
  }
  return authority.toString()
}

function presentedChain({ host, port, timeoutMs }: FetchAuthorityOptions): Promise<readonly X509Certificate[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly X509Certificate[]>()
  // Not verified by TLS, as there is nothing yet to verify with: the fingerprint does it.
  const socket = tls.connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
  const timer = setTimeout(() => {
    socket.destroy(new DialtoneError('host-unreachable', `${host}:${port} did not answer within ${timeoutMs} ms.`))
  }, timeoutMs)
  socket.once('secureConnect', () => {
    resolve(certificatesOf(socket))
    socket.destroy()
  })
  socket.once('error', (error: Error) => reject(connectionError(error, `${host}:${port}`)))
  socket.once('close', () => {
    clearTimeout(timer)
    reject(new DialtoneError('host-unreachable', `${host}:${port} closed the connection.`))
  })
  return promise
}

/** The server's certificate first, each issuer after it; a self-signed one is its own issuer and ends the list. */
function certificatesOf(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next?.raw && chain.length < 8) {
    const certificate: X509Certificate = new X509Certificate(next.raw)
    if (chain.at(-1)?.fingerprint256 === certificate.fingerprint256) break
    chain.push(certificate)
    next = next.issuerCertificate
  }
  return chain
}
