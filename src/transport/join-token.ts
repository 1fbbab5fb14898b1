/** `<secret base64url>.<sha256 of the authority's certificate, hex>`: who may join, and whom to trust, in one word to copy. */
import { X509Certificate } from 'node:crypto'
import { DialtoneError } from '../model/dialtone-error.ts'

export type JoinToken = { readonly secret: string; readonly authorityFingerprint: string }

const tokenPattern = /^([A-Za-z0-9_-]{22,128})\.([0-9a-f]{64})$/
const minimumSecretBytes = 16

/** SHA-256 of the certificate (DER) in small hexadecimal digits. */
export function certificateFingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Makes the token from at least 16 random bytes. */
export function makeJoinToken(secret: Uint8Array, authorityPem: string): string {
  if (secret.length < minimumSecretBytes) throw new RangeError(`a join secret has at least ${minimumSecretBytes} bytes`)
  return `${Buffer.from(secret).toString('base64url')}.${certificateFingerprint(new X509Certificate(authorityPem))}`
}

/** Takes a token apart. Throws `invalid-input` if it is none. */
export function parseJoinToken(token: string): JoinToken {
  const [, secret, authorityFingerprint] = tokenPattern.exec(token.trim()) ?? []
  if (secret === undefined || authorityFingerprint === undefined) {
    throw new DialtoneError('invalid-input', 'This is not a join token; copy the whole of it.')
  }
  return { secret, authorityFingerprint }
}
