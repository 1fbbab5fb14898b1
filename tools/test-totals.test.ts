import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestEvent } from 'node:test/reporters'
import { createTestTotals } from './test-totals.ts'

test('the counts of several runs close as one, in the words of the runner', () => {
  const totals = createTestTotals()
  for (const event of [...runOf({ tests: 3, pass: 3, fail: 0 }), ...runOf({ tests: 2, pass: 1, fail: 1 })]) {
    totals.add(event)
  }
  assert.deepEqual(totals.closingEvents().map(messageOf), ['tests 5', 'pass 4', 'fail 1'])
  assert.equal(totals.isPassed(), false)
})

test('all runs passed: passed', () => {
  const totals = createTestTotals()
  for (const event of runOf({ tests: 3, pass: 3, fail: 0 })) totals.add(event)
  assert.equal(totals.isPassed(), true)
})

test('a run that tested nothing has not passed', () => {
  assert.equal(createTestTotals().isPassed(), false)
})

test('what a test says of itself is not a count', () => {
  const totals = createTestTotals()
  totals.add({ type: 'test:diagnostic', data: { nesting: 0, message: 'tests 9', level: 'info', file: 'a.test.ts' } })
  assert.deepEqual(totals.closingEvents(), [])
})

function runOf(counts: Record<string, number>): TestEvent[] {
  const lines = Object.entries(counts).map(
    ([name, amount]): TestEvent => ({
      type: 'test:diagnostic',
      data: { nesting: 0, message: `${name} ${amount}`, level: 'info' },
    }),
  )
  const total = { tests: 0, passed: 0, cancelled: 0, skipped: 0, todo: 0, suites: 0, topLevel: 0 }
  const success = counts['fail'] === 0
  return [...lines, { type: 'test:summary', data: { success, counts: total, duration_ms: 1, file: undefined } }]
}

function messageOf(event: TestEvent): string {
  return event.type === 'test:diagnostic' ? event.data.message : event.type
}
