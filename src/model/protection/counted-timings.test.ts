import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTimings as usual } from '../timings.ts'
import { leaseProofAfterMs } from './bounds.ts'
import { countedTimings, formerTimingsAfter } from './counted-timings.ts'

const short = { ...usual, leaseMs: 1_000, watchdogMs: 100 }
const long = { ...usual, leaseMs: 9_000 }

test('a proof waits for the longest times that a host may hold, over as many changes as there were', () => {
  const first = formerTimingsAfter({ timings: usual, formerTimings: null }, long)
  const second = formerTimingsAfter({ timings: long, formerTimings: first }, short)
  const counted = countedTimings({ timings: short, formerTimings: second })
  assert.equal(leaseProofAfterMs(counted), 9_000 + 500 + 250 + 250)
  assert.equal(counted.heartbeatMs, short.heartbeatMs)
})

test('times that did not change are no change, and longer ones count at once', () => {
  assert.equal(formerTimingsAfter({ timings: usual, formerTimings: null }, { ...usual }), null)
  const former = formerTimingsAfter({ timings: short, formerTimings: null }, long)
  assert.equal(countedTimings({ timings: long, formerTimings: former }).leaseMs, 9_000)
})
