import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usePlainSignals } from './plain-signals.ts'

test('a combined signal aborts with the first of its signals, for the same reason, or is aborted from the beginning', () => {
  usePlainSignals()
  const [one, other] = [new AbortController(), new AbortController()]
  const combined = AbortSignal.any([one.signal, other.signal])
  assert.equal(combined.aborted, false)
  other.abort('enough')
  one.abort('too late')
  assert.deepEqual([combined.aborted, combined.reason], [true, 'enough'])
  assert.equal(AbortSignal.any([other.signal]).reason, 'enough')
})
