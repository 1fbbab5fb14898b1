import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { makeAcknowledgement } from './heartbeat.fixture.ts'
import { createPendingStarts } from './pending-starts.ts'

const start = { vmId: vmIdOf('web'), epoch: 3 }
const deadlineMs = 5_000

function beginWaiting() {
  const clock = createVirtualClock()
  const starts = createPendingStarts(clock)
  const outcome: { isConfirmed?: boolean } = {}
  void starts.wait(start, deadlineMs).then((isConfirmed) => Object.assign(outcome, { isConfirmed }))
  return { clock, starts, outcome }
}

describe('a start that waits for the word of the leader', () => {
  test('is in every heartbeat until it is answered', async () => {
    const { clock, starts, outcome } = beginWaiting()
    assert.deepEqual(starts.list(), [start])
    starts.answered([start], makeAcknowledgement({ confirmedStarts: [start] }))
    await clock.settle()
    assert.equal(outcome.isConfirmed, true)
    assert.deepEqual(starts.list(), [])
  })

  test('is not settled by the answer to a heartbeat that did not carry it', async () => {
    const { clock, starts, outcome } = beginWaiting()
    starts.answered([], makeAcknowledgement({ confirmedStarts: [start] }))
    starts.answered([{ ...start, epoch: 2 }], makeAcknowledgement({ confirmedStarts: [{ ...start, epoch: 2 }] }))
    await clock.settle()
    assert.deepEqual(outcome, {})
  })

  test('is refused when an answer leaves it out, or the host is fenced, whatever else that answer says', async () => {
    for (const answer of [
      makeAcknowledgement({ confirmedStarts: [{ ...start, epoch: 4 }] }),
      makeAcknowledgement({ verdict: 'fenced', confirmedStarts: [start] }),
    ]) {
      const { clock, starts, outcome } = beginWaiting()
      starts.answered([start], answer)
      await clock.settle()
      assert.equal(outcome.isConfirmed, false)
    }
  })

  test('goes on waiting while the leader holds its judgement, and is given up in time', async () => {
    const { clock, starts, outcome } = beginWaiting()
    starts.answered([start], makeAcknowledgement({ verdict: 'hold', confirmedStarts: [start] }))
    await clock.advance(deadlineMs - 1)
    assert.deepEqual(outcome, {})
    await clock.advance(1)
    assert.equal(outcome.isConfirmed, false)
    starts.answered([start], makeAcknowledgement({ confirmedStarts: [start] }))
    assert.deepEqual(starts.list(), [])
  })
})
