import assert from 'node:assert/strict'
import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { z } from 'zod'
import type { Contract } from '../../model/api/route.ts'
import { hostIdSchema } from '../../model/ids.ts'
import type { ClientTls } from '../../transport/connection-pool.ts'
import { createContractClient } from '../../transport/contract-client.ts'
import { makeHostKey, signJoinRequest } from '../../transport/host-key.ts'
import { certificateFingerprint, makeJoinToken, parseJoinToken } from '../../transport/join-token.ts'
import { fetchAuthorityByFingerprint } from '../../transport/join-trust.ts'
import { mountContract } from '../../transport/mount-contract.ts'
import { listen, makeServer, type ServerTls } from '../../transport/serve.ts'
import { identifyByCertificate, type PeerIdentity } from '../../transport/tls-identity.ts'
import { type Authority, createAuthority, issueCertificate, verifyPossession } from './authority.ts'

const clusterId = '6f0c1c9e-3f52-4a0e-9d3e-0b6a1c2d3e4f'
const now = new Date()
const ours = await createAuthority({ clusterId, now })
/** Of an attacker, who may write any name into it. */
const foreign = await createAuthority({ clusterId, now })

const host = (letter: string): PeerIdentity => ({
  kind: 'host',
  clusterId,
  hostId: hostIdSchema.parse(`host-${letter.repeat(8)}`),
})
const controller: PeerIdentity = { kind: 'controller', clusterId, name: 'one' }

type Member = { readonly ca: string; readonly cert: string; readonly key: string }

async function member(subject: PeerIdentity, authority: Authority = ours, validForMs = 3_600_000): Promise<Member> {
  const { publicKeyPem, privateKeyPem } = makeHostKey()
  const cert = await issueCertificate({ authority, publicKeyPem, subject, addresses: ['127.0.0.1'], now, validForMs })
  return { ca: ours.certificatePem, cert, key: privateKeyPem }
}

const contract = {
  whoAmI: {
    method: 'GET',
    path: '/who',
    role: 'host',
    summary: '',
    response: z.object({ name: z.string(), hostId: z.string().nullable() }),
  },
  join: {
    method: 'POST',
    path: '/join',
    role: 'none',
    summary: '',
    body: z.object({ token: z.string(), publicKeyPem: z.string(), signature: z.string() }),
    response: z.object({ proven: z.boolean() }),
  },
} as const satisfies Contract

type Asking = ServerTls['requestClientCertificate']

async function serve(
  context: TestContext,
  asking: Asking = 'optional',
  accepted: readonly PeerIdentity['kind'][] = ['host'],
) {
  const identity = await member(controller)
  const app = makeServer({ tls: { ...identity, ...(asking ? { requestClientCertificate: asking } : {}) } })
  const handlers = {
    whoAmI: (_input: unknown, caller: { name: string; hostId?: string }) => ({
      name: caller.name,
      hostId: caller.hostId ?? null,
    }),
    join: ({ body }: { body: { token: string; publicKeyPem: string; signature: string } }) => ({
      proven: verifyPossession(body),
    }),
  }
  mountContract(app, contract, handlers, { identify: identifyByCertificate(clusterId, accepted), checkAnswers: true })
  const port = await listen(app, { host: '127.0.0.1', port: 0 })
  context.after(() => app.close())
  const client = (clientTls: ClientTls) => {
    const made = createContractClient(contract, { baseUrl: `https://127.0.0.1:${port}`, tls: clientTls })
    context.after(() => made.close())
    return made
  }
  return { port, client }
}

test('a host of this cluster is known by its certificate', async (context) => {
  const { client } = await serve(context)
  const answer = await client(await member(host('a'))).call('whoAmI', {})
  assert.deepEqual(answer, { name: 'host/host-aaaaaaaa', hostId: 'host-aaaaaaaa' })
})

test('a certificate of another authority, none, an expired one or one of another cluster is not', async (context) => {
  const { client } = await serve(context)
  const refused = { code: 'unauthenticated', message: 'This needs a certificate of this cluster’s authority.' }
  await assert.rejects(client(await member(host('a'), foreign)).call('whoAmI', {}), refused)
  await assert.rejects(client({ ca: ours.certificatePem }).call('whoAmI', {}), refused)
  await assert.rejects(client(await member(host('a'), ours, -60_000)).call('whoAmI', {}), refused)
  await assert.rejects(client(await member({ ...host('a'), clusterId: 'other' })).call('whoAmI', {}), refused)
})

test('where a certificate is required, those fail in the handshake', async (context) => {
  const { client } = await serve(context, 'required')
  assert.equal((await client(await member(host('a'))).call('whoAmI', {})).name, 'host/host-aaaaaaaa')
  await assert.rejects(client(await member(host('a'), foreign)).call('whoAmI', {}), { code: 'host-unreachable' })
  await assert.rejects(client({ ca: ours.certificatePem }).call('whoAmI', {}), { code: 'unauthenticated' })
})

test('an agent takes orders from controllers only, not from another host', async (context) => {
  const { client } = await serve(context, 'required', ['controller'])
  assert.deepEqual(await client(await member(controller)).call('whoAmI', {}), { name: 'controller/one', hostId: null })
  await assert.rejects(client(await member(host('b'))).call('whoAmI', {}), {
    code: 'forbidden',
    message: 'host/host-bbbbbbbb may not call this.',
  })
})

test('a session that is resumed does not make a stranger known', async (context) => {
  const { port } = await serve(context)
  for (const stranger of [await member(host('a'), foreign), { ca: ours.certificatePem }]) {
    const first = await ask(port, stranger)
    assert.match(first.answer, /^HTTP\/1\.1 401/)
    const again = await ask(port, { ca: ours.certificatePem }, first.session)
    assert.equal(again.isResumed, true)
    assert.match(again.answer, /^HTTP\/1\.1 401/)
  }
  const known = await ask(port, await member(host('a')))
  assert.match(known.answer, /^HTTP\/1\.1 200/)
})

/** One request by a client that takes up an earlier session if it can; a new session may come only after the answer began. */
async function ask(port: number, credentials: Partial<Member>, session?: Buffer) {
  const socket = tls.connect({ host: '127.0.0.1', port, ...credentials, ...(session ? { session } : {}) })
  let newest: Buffer | undefined
  socket.on('session', (made: Buffer) => {
    newest = made
  })
  socket.write('GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  const [answer] = await once(socket.setEncoding('utf8'), 'data')
  const isResumed = socket.isSessionReused()
  socket.destroy()
  return { answer: String(answer), session: newest, isResumed }
}

test('a client refuses a server of another authority, or another member than it wanted', async (context) => {
  const { client } = await serve(context)
  const caller = await member(host('a'))
  const distrusting = client({ ...caller, ca: foreign.certificatePem })
  await assert.rejects(distrusting.call('whoAmI', {}), { code: 'host-unreachable' })
  await assert.rejects(client({ ...caller, serverName: 'elsewhere' }).call('whoAmI', {}), { code: 'host-unreachable' })
  assert.equal((await client({ ...caller, peer: controller }).call('whoAmI', {})).name, 'host/host-aaaaaaaa')
  await assert.rejects(client({ ...caller, peer: host('b') }).call('whoAmI', {}), {
    code: 'host-unreachable',
    message: /answers controller\/one, not host\/host-bbbbbbbb/,
  })
})

test('a host joins: trust by fingerprint, then proof of its key', async (context) => {
  const { port, client } = await serve(context)
  const token = makeJoinToken(randomBytes(16), ours.certificatePem)
  const { authorityFingerprint: fingerprint } = parseJoinToken(token)
  const ca = await fetchAuthorityByFingerprint({ host: '127.0.0.1', port, fingerprint, timeoutMs: 2000 })
  assert.equal(new X509Certificate(ca).fingerprint256, new X509Certificate(ours.certificatePem).fingerprint256)
  const key = makeHostKey()
  const body = { token, publicKeyPem: key.publicKeyPem, signature: signJoinRequest(token, key) }
  assert.deepEqual(await client({ ca }).call('join', { body }), { proven: true })
})

test('a server that presents another authority, or its own certificate as one, is not trusted', async (context) => {
  const { port } = await serve(context)
  const fetchWith = (certificatePem: string, at = port) =>
    fetchAuthorityByFingerprint({
      host: '127.0.0.1',
      port: at,
      fingerprint: certificateFingerprint(new X509Certificate(certificatePem)),
      timeoutMs: 2000,
    })
  await assert.rejects(fetchWith(foreign.certificatePem), { code: 'unauthenticated' })
  const forger = await member(controller, foreign)
  // The right authority, which anybody can get, sent beside a certificate that it did not issue.
  const server = tls.createServer({ key: forger.key, cert: `${forger.cert}\n${ours.certificatePem}` })
  server.on('tlsClientError', () => {}).on('secureConnection', (socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => server.close())
  const address = server.address()
  assert(typeof address === 'object' && address)
  await assert.rejects(fetchWith(ours.certificatePem, address.port), { code: 'unauthenticated' })
  await assert.rejects(fetchWith(forger.cert, address.port), { code: 'unauthenticated' })
  await assert.rejects(fetchWith(ours.certificatePem, 1), { code: 'host-unreachable' })
})
