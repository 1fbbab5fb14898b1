/** The cluster's own certificate authority. Only the controller has it: agents make a key and are given a certificate for it. */
import 'reflect-metadata'
import { createPublicKey, randomBytes, verify, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { joinRequestBytes } from '../../transport/host-key.ts'
import { identityUri, type PeerIdentity } from '../../transport/tls-identity.ts'

cryptoProvider.set(webcrypto)

/** What is stored of an authority; the key is the cluster's greatest secret. */
export type AuthorityPems = { readonly certificatePem: string; readonly privateKeyPem: string }

export type Authority = AuthorityPems & {
  readonly certificate: X509Certificate
  readonly signingKey: webcrypto.CryptoKey
}

export type CreateAuthorityOptions = {
  readonly clusterId: string
  readonly now: Date
  readonly serial?: Uint8Array
}

export type IssueOptions = {
  readonly authority: Authority
  /** PEM of an ECDSA P-256 public key (SPKI). */
  readonly publicKeyPem: string
  readonly subject: PeerIdentity
  /** IP addresses and DNS names by which others reach the subject. */
  readonly addresses: readonly string[]
  readonly now: Date
  readonly validForMs: number
  readonly serial?: Uint8Array
}

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const
const dayMs = 24 * 60 * 60 * 1000
const authorityValidForMs = 3652 * dayMs
/** Clocks of hosts differ: a certificate is valid from a while before it was made. */
const clockSkewMs = 60 * 60 * 1000
const dnsNamePattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i

/** Makes the authority of a new cluster: ECDSA P-256, self-signed, valid for ten years. */
export async function createAuthority({
  clusterId,
  now,
  serial = randomBytes(16),
}: CreateAuthorityOptions): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(serial),
    name: [{ CN: ['Dialtone authority'] }, { O: [clusterId] }],
    notBefore: new Date(now.getTime() - clockSkewMs),
    notAfter: new Date(now.getTime() + authorityValidForMs),
    keys,
    signingAlgorithm,
    extensions: [
      // Its certificates are leaves: nobody below it may issue more.
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return loadAuthority({
    certificatePem: `${certificate.toString('pem')}\n`,
    privateKeyPem: `${PemConverter.encode(pkcs8, PemConverter.PrivateKeyTag)}\n`,
  })
}

/** Makes a stored authority usable. Throws `machine-setup` if its key or certificate cannot be read. */
export async function loadAuthority(pems: AuthorityPems): Promise<Authority> {
  try {
    const pkcs8 = PemConverter.decodeFirst(pems.privateKeyPem)
    const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, keyAlgorithm, false, ['sign'])
    return { ...pems, certificate: new X509Certificate(pems.certificatePem), signingKey }
  } catch (cause) {
    throw new DialtoneError('machine-setup', 'The key or certificate of the cluster’s authority cannot be read.', {
      cause,
    })
  }
}

/** The cluster that it was made for; undefined when it does not say. */
export function clusterIdOf({ certificate }: Pick<Authority, 'certificate'>): string | undefined {
  const [id] = certificate.subjectName.getField('O')
  return id === undefined || id === '' ? undefined : id
}

/**
 * Issues a certificate (PEM) for a host or a controller, as server and as client, which never outlives the authority. Throws
 * `invalid-input` for another kind of key or an address that is none.
 */
export async function issueCertificate(options: IssueOptions): Promise<string> {
  const { authority, subject, addresses, now } = options
  const publicKey = p256PublicKey(options.publicKeyPem)
  const endsAt = Math.min(now.getTime() + options.validForMs, authority.certificate.notAfter.getTime())
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(options.serial ?? randomBytes(16)),
    subject: [{ CN: [subject.kind === 'host' ? subject.hostId : subject.name] }, { O: [subject.clusterId] }],
    issuer: authority.certificate.subjectName,
    notBefore: new Date(now.getTime() - clockSkewMs),
    notAfter: new Date(endsAt),
    publicKey,
    signingKey: authority.signingKey,
    signingAlgorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'url', value: identityUri(subject) },
        ...addresses.map(alternativeName),
      ]),
      await AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

export type Possession = { readonly token: string; readonly publicKeyPem: string; readonly signature: string }

/** Whether who sent this join request has the private key: the counterpart of `signJoinRequest`. */
export function verifyPossession({ token, publicKeyPem, signature }: Possession): boolean {
  try {
    const proof = Buffer.from(signature, 'base64url')
    return verify('sha256', joinRequestBytes(token), createPublicKey(publicKeyPem), proof)
  } catch {
    return false
  }
}

function p256PublicKey(pem: string): Buffer {
  const key = readPublicKey(pem)
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new DialtoneError('invalid-input', 'The public key must be an ECDSA key on the curve P-256.')
  }
  return key.export({ type: 'spki', format: 'der' })
}

function readPublicKey(pem: string) {
  // From a private key node would derive the public one; nobody is to get into the habit of sending it.
  if (pem.includes('PRIVATE'))
    throw new DialtoneError('invalid-input', 'A public key is wanted, this is a private one.')
  try {
    return createPublicKey(pem)
  } catch (cause) {
    throw new DialtoneError('invalid-input', 'The public key cannot be read.', { cause })
  }
}

function alternativeName(address: string): { type: 'ip' | 'dns'; value: string } {
  if (isIP(address) !== 0) return { type: 'ip', value: address }
  if (address.length <= 253 && dnsNamePattern.test(address)) return { type: 'dns', value: address }
  throw new DialtoneError('invalid-input', `${address} is neither an IP address nor a DNS name.`)
}

/** Positive and of one length, as the first bit of a serial number is its sign. */
function serialNumber(random: Uint8Array): string {
  const bytes = Buffer.from(random)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}
