import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import { hostIdSchema } from '../../model/ids.ts'
import { makeHostKey, signJoinRequest } from '../../transport/host-key.ts'
import { createAuthority, issueCertificate, loadAuthority, verifyPossession } from './authority.ts'

const now = new Date('2026-11-21T12:00:00Z')
const clusterId = '6f0c1c9e-3f52-4a0e-9d3e-0b6a1c2d3e4f'
const subject = { kind: 'host', clusterId, hostId: hostIdSchema.parse('host-aaaaaaaa') } as const
const dayMs = 86_400_000

suite('authority', () => {
  test('is a P-256 certificate authority for ten years, valid from an hour ago', async () => {
    const { certificatePem } = await createAuthority({ clusterId, now })
    const certificate = new X509Certificate(certificatePem)
    assert.equal(certificate.ca, true)
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    assert.equal(certificate.validFromDate.toISOString(), '2026-11-21T11:00:00.000Z')
    assert.equal(certificate.validToDate.getUTCFullYear(), 2036)
    assert.ok(certificate.verify(certificate.publicKey))
  })

  test('issues, also after it was stored and loaded, what it signed: identity, addresses, key and term', async () => {
    const created = await createAuthority({ clusterId, now })
    const authority = await loadAuthority({
      certificatePem: created.certificatePem,
      privateKeyPem: created.privateKeyPem,
    })
    const { publicKeyPem } = makeHostKey()
    const addresses = ['10.77.0.2', 'fd00::2', 'host-2.example.org']
    const pem = await issueCertificate({ authority, publicKeyPem, subject, addresses, now, validForMs: 90 * dayMs })
    const certificate = new X509Certificate(pem)
    const issuer = new X509Certificate(created.certificatePem)
    assert.ok(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey))
    assert.equal(certificate.ca, false)
    assert.equal(certificate.publicKey.export({ type: 'spki', format: 'pem' }), publicKeyPem)
    assert.equal(
      certificate.subjectAltName,
      `URI:dialtone://${clusterId}/host/host-aaaaaaaa, IP Address:10.77.0.2, IP Address:FD00:0:0:0:0:0:0:2, DNS:host-2.example.org`,
    )
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    assert.equal(certificate.validFromDate.toISOString(), '2026-11-21T11:00:00.000Z')
    assert.equal(certificate.validToDate.getTime() - now.getTime(), 90 * dayMs)
  })

  test('gives each certificate another serial number', async () => {
    const authority = await createAuthority({ clusterId, now })
    const { publicKeyPem } = makeHostKey()
    const issue = () => issueCertificate({ authority, publicKeyPem, subject, addresses: [], now, validForMs: dayMs })
    const [one, two] = [new X509Certificate(await issue()), new X509Certificate(await issue())]
    assert.notEqual(one.serialNumber, two.serialNumber)
    assert.equal(one.serialNumber.length, 32)
  })

  test('never lets a certificate outlive it', async () => {
    const authority = await createAuthority({ clusterId, now })
    const options = { authority, publicKeyPem: makeHostKey().publicKeyPem, subject, addresses: [], now }
    const certificate = new X509Certificate(await issueCertificate({ ...options, validForMs: 9999 * dayMs }))
    assert.equal(certificate.validTo, new X509Certificate(authority.certificatePem).validTo)
  })

  test('refuses other kinds of keys, private keys and addresses that are none', async () => {
    const authority = await createAuthority({ clusterId, now })
    const key = makeHostKey()
    const issue = (publicKeyPem: string, addresses: readonly string[] = []) =>
      issueCertificate({ authority, publicKeyPem, subject, addresses, now, validForMs: dayMs })
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
    await assert.rejects(issue(rsa.toString()), { code: 'invalid-input' })
    await assert.rejects(issue(key.privateKeyPem), { code: 'invalid-input' })
    await assert.rejects(issue('garbage'), { code: 'invalid-input' })
    await assert.rejects(issue(key.publicKeyPem, ['a, URI:dialtone://x/host/host-bbbbbbbb']), { code: 'invalid-input' })
  })

  test('a broken store is told as such', async () => {
    await assert.rejects(loadAuthority({ certificatePem: 'x', privateKeyPem: 'y' }), { code: 'machine-setup' })
  })
})

test('possession of a key is proven for one token only', () => {
  const key = makeHostKey()
  const signature = signJoinRequest('token-1', key)
  const claim = { token: 'token-1', publicKeyPem: key.publicKeyPem, signature }
  assert.equal(verifyPossession(claim), true)
  assert.equal(verifyPossession({ ...claim, token: 'token-2' }), false)
  assert.equal(verifyPossession({ ...claim, publicKeyPem: makeHostKey().publicKeyPem }), false)
  assert.equal(verifyPossession({ ...claim, publicKeyPem: 'garbage' }), false)
  assert.equal(verifyPossession({ ...claim, signature: '' }), false)
})
