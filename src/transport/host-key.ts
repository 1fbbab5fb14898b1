/** The agent's half of joining: a key pair that never leaves the host, and the proof that the agent has it. */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'

export type HostKey = {
  readonly privateKeyPem: string
  /** SPKI. */
  readonly publicKeyPem: string
}

/** Makes an ECDSA P-256 key pair. */
export function makeHostKey(): HostKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return { privateKeyPem: privateKey, publicKeyPem: publicKey }
}

/** What is signed to join: bound to its purpose, so that the signature is worth nothing elsewhere. */
export function joinRequestBytes(token: string): Buffer {
  return Buffer.from(`dialtone join\n${token}`)
}

/** The proof of possession for a join request: a base64url signature over the token. */
export function signJoinRequest(token: string, key: HostKey): string {
  return sign('sha256', joinRequestBytes(token), createPrivateKey(key.privateKeyPem)).toString('base64url')
}
