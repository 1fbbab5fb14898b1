import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, sessionIdOf, sharedId, someTime } from './cluster-state.fixture.ts'
import { describeProof } from './proof.ts'

const base = { hostId: hostIdOf('ada'), hostName: 'ada', provedAt: someTime }

test('each proof is a sentence that says what was proven and how', () => {
  assert.equal(
    describeProof({ kind: 'released', ...base, session: sessionIdOf('ada'), upToEpoch: 5 }),
    'ada answered that it is reaped and that nothing up to epoch 5 will start there',
  )
  assert.equal(
    describeProof({ kind: 'released', ...base, session: sessionIdOf('ada'), upToEpoch: 0 }),
    'ada came back and holds nothing of what ran there',
  )
  assert.equal(
    describeProof({ kind: 'rebooted', ...base, oldBootId: 'old', newBootId: '0123456789' }),
    'ada has booted anew since (boot 01234567), so everything older on it is dead',
  )
  assert.equal(
    describeProof({ kind: 'power', ...base, fenceAgent: 'fence_virsh', tookMs: 12.4 }),
    'fence_virsh switched ada off and read the state back, in 12 ms',
  )
  const lease = { kind: 'lease', ...base, armed: 'soft', silentMs: 4321.6, leaseBoundMs: 4000 } as const
  assert.equal(
    describeProof({
      ...lease,
      pills: [
        { storageId: sharedId, generation: 1, stoodMs: 2100 },
        { storageId: sharedId, generation: 1, stoodMs: 2050 },
      ],
    }),
    'ada was silent for 4322 ms, longer than its lease, watchdog, kill and drain (4000 ms); it is soft-armed, and its pill stood for 2050 ms',
  )
  assert.match(describeProof({ ...lease, pills: [] }), /it is soft-armed$/)
  assert.equal(describeProof({ kind: 'operator', ...base, user: 'grace' }), 'grace confirmed that ada is off')
})
