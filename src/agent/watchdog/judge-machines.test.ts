import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedId, storageIdOf, vmIdOf } from '../../model/cluster-state.fixture.ts'
import { defaultTimings as timings } from '../../model/timings.ts'
import { judgeMachines } from './judge-machines.ts'
import { makeState } from './watchdog-state.fixture.ts'

const unlicensed = (state: Parameters<typeof judgeMachines>[0], nowMs: number) =>
  judgeMachines(state, { nowMs, lastWordAtMs: nowMs }).unlicensed.map(({ vmId }) => vmId)

test('a machine lives as long as the lease, and not a moment longer', () => {
  const state = makeState({ acknowledgedHeartbeatSentAtMs: 1_000 })
  assert.deepEqual(unlicensed(state, 1_000 + timings.leaseMs - 1), [])
  assert.deepEqual(unlicensed(state, 1_000 + timings.leaseMs), [vmIdOf('web')])
})

test('without a lease it lives by pill-free reads of every storage that it uses', () => {
  const other = storageIdOf('other')
  const machines = makeState().machines.map((machine) => ({ ...machine, storageIds: [sharedId, other] }))
  const reads = [
    { storageId: sharedId, startedAtMs: 1_000 },
    { storageId: other, startedAtMs: 500 },
  ]
  assert.deepEqual(unlicensed(makeState({ machines, pillFreeReads: reads }), 500 + timings.pillFreeMs - 1), [])
  assert.deepEqual(unlicensed(makeState({ machines, pillFreeReads: reads }), 500 + timings.pillFreeMs), [vmIdOf('web')])
  assert.deepEqual(unlicensed(makeState({ machines, pillFreeReads: reads.slice(0, 1) }), 1_000), [vmIdOf('web')])
})

test('a frozen one needs no licence, but a pill ends it too, whatever the lease says', () => {
  const machines = makeState().machines.map((machine) => ({ ...machine, isFrozen: true }))
  assert.deepEqual(unlicensed(makeState({ machines }), 900_000), [])
  const pilled = makeState({ machines, pills: [sharedId], acknowledgedHeartbeatSentAtMs: 1_000 })
  assert.deepEqual(unlicensed(pilled, 1_000), [vmIdOf('web')])
})

test('an agent that said nothing for longer than it may is stalled', () => {
  const judge = (nowMs: number) => judgeMachines(makeState(), { nowMs, lastWordAtMs: 1_000 }).agentIsStalled
  assert.equal(judge(1_000 + timings.agentStallMs), false)
  assert.equal(judge(1_000 + timings.agentStallMs + 1), true)
})
