import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeObservation } from '../model/cluster-state.fixture.ts'
import type { HostState } from '../model/host.ts'
import { judgeMassSilence, judgeSilence } from './judge-hosts.ts'

const judge = (
  state: HostState,
  attentiveSilentMs: number,
  { silentMs = attentiveSilentMs, mayGoOffline = true } = {},
) =>
  judgeSilence(makeCluster({ hosts: [makeHost('ada', { status: { state } })] }), hostIdOf('ada'), {
    observation: makeObservation({ attentiveSilentMs, silentMs }),
    mayGoOffline: () => mayGoOffline,
  }).kind

test('a host becomes suspect by silence in which the leader was attentive, and by no other', () => {
  assert.equal(judge('online', 799), 'as-it-is')
  assert.equal(judge('online', 800), 'becomes-suspect')
  assert.equal(judge('maintenance', 800), 'becomes-suspect')
  assert.equal(judge('online', 100, { silentMs: 60_000 }), 'as-it-is')
  assert.equal(judge('fenced', 60_000), 'as-it-is')
})

test('a suspect becomes offline after long silence, if it may', () => {
  assert.equal(judge('suspect', 7_999), 'as-it-is')
  assert.equal(judge('suspect', 8_000), 'becomes-offline')
  assert.equal(judge('suspect', 60_000, { mayGoOffline: false }), 'as-it-is')
})

/** Silences of hosts in order, in milliseconds. */
const isMass = (silences: readonly number[], states: readonly HostState[] = []) => {
  const hosts = silences.map((_silence, index) =>
    makeHost(`h${index}`, { status: { state: states[index] ?? 'online' } }),
  )
  const entries = silences.map(
    (attentiveSilentMs, index) => [hostIdOf(`h${index}`), makeObservation({ attentiveSilentMs })] as const,
  )
  return judgeMassSilence(makeCluster({ hosts }), new Map(entries)).isMass
}

test('silence is of many when more than the set share is silent: of two hosts one may be, of three two are many', () => {
  assert.equal(isMass([900, 10]), false)
  assert.equal(isMass([900, 900]), true)
  assert.equal(isMass([900, 900, 10]), true)
  assert.equal(isMass([900, 900, 10, 10]), false)
  assert.equal(isMass([900]), true)
})

test('hosts that were cut off together are seen together, though their beats differ in phase', () => {
  assert.equal(isMass([800, 560, 680, 740]), true)
})

test('hosts that are fenced or were long offline do not count', () => {
  assert.equal(isMass([900, 9_000, 10], ['suspect', 'fenced', 'online']), false)
})

test('a host that this leader knows nothing of counts as silent', () => {
  assert.equal(judgeMassSilence(makeCluster({ hosts: [makeHost('ada')] }), new Map()).isMass, true)
})
