import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAge, formatDuration, formatInstant, parseSeconds } from './age.ts'

const nowMs = Date.parse('2026-03-01T12:00:00.000Z')
const ago = (milliseconds: number) => new Date(nowMs - milliseconds).toISOString()

test('an age is one number in the unit that fits', () => {
  const ages = [0, 999, 12_000, 119_000, 180_000, 5 * 3_600_000, 3 * 86_400_000].map((ms) => formatAge(ago(ms), nowMs))
  assert.deepEqual(ages, ['now', 'now', '12s', '119s', '3m', '5h', '3d'])
})

test('a clock that runs ahead, no time and nonsense have an age that misleads nobody', () => {
  assert.equal(formatAge(ago(-5000), nowMs), 'now')
  assert.equal(formatAge(null, nowMs), '-')
  assert.equal(formatAge('yesterday', nowMs), '-')
})

test('an instant is shown with its age', () => {
  assert.equal(formatInstant(ago(180_000), nowMs), '2026-03-01T11:57:00.000Z (3m ago)')
  assert.equal(formatInstant(null, nowMs), '-')
})

test('durations', () => {
  assert.deepEqual([57.3, 1234, 200_000, 7_500_000].map(formatDuration), ['57ms', '1.2s', '3m 20s', '2h 05m'])
})

test('seconds are read with and without a unit', () => {
  assert.deepEqual(['90', '90s', '2m', '1h', 'soon', '-1'].map(parseSeconds), [90, 90, 120, 3600, null, null])
})
