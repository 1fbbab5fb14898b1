import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { hostIdSchema } from '../model/ids.ts'
import { identityUri, type PeerIdentity, parseIdentityUri, peerIdentity } from './tls-identity.ts'

const hostId = hostIdSchema.parse('host-abcdefgh')

test('an identity is read from the URI that was made of it', () => {
  const identities: readonly PeerIdentity[] = [
    { kind: 'host', clusterId: '6f0c1c9e-3f52-4a0e-9d3e-0b6a1c2d3e4f', hostId },
    { kind: 'controller', clusterId: 'c', name: 'one' },
  ]
  for (const identity of identities) assert.deepEqual(parseIdentityUri(identityUri(identity)), identity)
  assert.equal(identityUri({ kind: 'host', clusterId: 'c', hostId }), 'dialtone://c/host/host-abcdefgh')
})

test('a URI that is only like one of ours is none', () => {
  const uris = [
    'spiffe://c/host/host-abcdefgh',
    'dialtone://c/host/web',
    'dialtone://c/user/host-abcdefgh',
    'dialtone://c/host/host-abcdefgh/more',
    'dialtone://c/host/host-abcdefgh"',
    'dialtone:///host/host-abcdefgh',
    'x dialtone://c/host/host-abcdefgh',
    'dialtone://c/host/host-abcdefgh\n',
  ]
  for (const uri of uris) assert.equal(parseIdentityUri(uri), undefined, uri)
})

test('a connection without TLS has no identity', () => {
  assert.equal(peerIdentity(new Socket()), undefined)
})
