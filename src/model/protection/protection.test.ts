/** The arithmetic of leases and pills, on the host's own clock. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, sharedId, storageIdOf } from '../cluster-state.fixture.ts'
import { defaultTimings as timings } from '../timings.ts'
import { leaseProofAfterMs, newLeaderWaitsMs, pillProofAfterMs } from './bounds.ts'
import { judgeLicence, type LicenceFacts, leaseEndsAtMs, licenceEndsAtMs, mayStayAlive } from './licence.ts'
import { formatPill, parseSlot } from './pill.ts'

const other = storageIdOf('other')
const facts = (changes: Partial<LicenceFacts> = {}): LicenceFacts => ({
  acknowledgedHeartbeatSentAtMs: null,
  pillFreeReadStartedAtMs: new Map(),
  pills: new Set(),
  ...changes,
})
const read = (entries: readonly (readonly [typeof sharedId, number])[]) => ({
  pillFreeReadStartedAtMs: new Map(entries),
})

describe('a licence', () => {
  test('by lease holds for TTL from when the acknowledged heartbeat was sent, and not at all before the first', () => {
    assert.equal(leaseEndsAtMs(facts({ acknowledgedHeartbeatSentAtMs: 1_000 }), timings), 4_000)
    assert.equal(leaseEndsAtMs(facts(), timings), -Infinity)
    assert.equal(licenceEndsAtMs(facts(), [sharedId], timings), -Infinity)
  })

  test('by slot holds for R from the start of the pill-free read', () => {
    assert.equal(licenceEndsAtMs(facts(read([[sharedId, 2_000]])), [sharedId], timings), 3_000)
  })

  test('by slots needs a read of each storage, and ends with the oldest', () => {
    assert.equal(licenceEndsAtMs(facts(read([[sharedId, 2_000]])), [sharedId, other], timings), -Infinity)
    assert.equal(
      licenceEndsAtMs(
        facts(
          read([
            [sharedId, 2_000],
            [other, 1_500],
          ]),
        ),
        [sharedId, other],
        timings,
      ),
      2_500,
    )
  })

  test('is the later of both; without a shared storage only the lease counts', () => {
    const both = facts({ acknowledgedHeartbeatSentAtMs: 1_000, ...read([[sharedId, 9_000]]) })
    assert.equal(licenceEndsAtMs(both, [sharedId], timings), 10_000)
    assert.equal(licenceEndsAtMs(both, [], timings), 4_000)
  })

  test('ends at once with a pill on any of its storages, whatever the lease says; a pill elsewhere is not its business', () => {
    const pilled = facts({ acknowledgedHeartbeatSentAtMs: 1_000, pills: new Set([other]) })
    assert.equal(licenceEndsAtMs(pilled, [sharedId, other], timings), -Infinity)
    assert.equal(licenceEndsAtMs(pilled, [sharedId], timings), 4_000)
  })
})

describe('a leased machine', () => {
  const leased = facts({ acknowledgedHeartbeatSentAtMs: 0 })
  const judge = (nowMs: number, seen = leased) => judgeLicence(seen, { storageIds: [sharedId], nowMs }, timings)
  const mayLive = (isFrozen: boolean, nowMs: number, seen = leased) =>
    mayStayAlive(seen, { storageIds: [sharedId], isFrozen, nowMs }, timings)

  test('is frozen a fifth of R before its licence ends, so that it is quiet in time', () => {
    assert.deepEqual(judge(2_799), { kind: 'licensed', untilMs: 3_000 })
    assert.equal(judge(2_800).kind, 'freeze')
    assert.equal(judge(60_000).kind, 'freeze')
  })

  test('is killed by a pill', () => {
    assert.equal(judge(10, facts({ acknowledgedHeartbeatSentAtMs: 0, pills: new Set([sharedId]) })).kind, 'kill')
  })

  test('stays alive to the end of its licence and no moment longer, unless it is frozen; a pill ends also a frozen one', () => {
    assert.equal(mayLive(false, 2_999), true)
    assert.equal(mayLive(false, 3_000), false)
    assert.equal(mayLive(true, 60_000), true)
    assert.equal(mayLive(true, 10, facts({ acknowledgedHeartbeatSentAtMs: 0, pills: new Set([sharedId]) })), false)
  })
})

describe('a slot', () => {
  const pill = { kind: 'pill', hostId: hostIdOf('ada'), term: 3, generation: 7 } as const
  test('gives back the pill that was written', () =>
    assert.deepEqual(parseSlot(formatPill(pill)), { kind: 'pill', pill }))
  test('that was never written, or cleared, is pill-free', () => {
    assert.deepEqual([parseSlot(undefined), parseSlot('')], [{ kind: 'pill-free' }, { kind: 'pill-free' }])
  })
  test('with anything else in it is not taken for pill-free', () => {
    for (const text of ['x', '{}', 'null', '{"kind":"pill"}', ' ', JSON.stringify({ ...pill, generation: 0 })])
      assert.equal(parseSlot(text).kind, 'unintelligible', text)
    const long = parseSlot('x'.repeat(4_096))
    assert.equal(long.kind === 'unintelligible' && long.text.length, 200)
  })
})

test('the bounds are the sums that the design names', () => {
  assert.equal(leaseProofAfterMs(timings), 3_000 + 500 + 250 + 250)
  assert.equal(pillProofAfterMs(timings), 1_000 + 500 + 250 + 250)
  assert.equal(newLeaderWaitsMs(timings), 3_000 + 250 + 250)
})

test('a proof comes only after the last moment at which a machine may be alive', () => {
  const lastAck = facts({ acknowledgedHeartbeatSentAtMs: 0 })
  assert.ok(
    licenceEndsAtMs(lastAck, [sharedId], timings) + timings.watchdogMs + timings.killMs + timings.drainMs <=
      leaseProofAfterMs(timings),
  )
})
