import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPartBars } from './ledger-bar.ts'

const width = 64

test('each part has a bar that begins where the one before it ends, and fits the terminal', () => {
  const bars = formatPartBars({ detectMs: 100, decideMs: 0, fenceMs: 100, startMs: 100, serveMs: 100 }, 400, width)
  assert.deepEqual(bars.split('\n'), [
    '  detect      100ms  ##########',
    '  decide        0ms            #',
    '  fence       100ms            ##########',
    '  start       100ms                      ##########',
    '  serve       100ms                                ##########',
    '',
  ])
  assert.ok(bars.split('\n').every((line) => line.length <= width))
})

test('a part that nobody knows has no bar, and what no part explains is a bar of its own', () => {
  const bars = formatPartBars(
    { detectMs: 200, decideMs: null, fenceMs: null, startMs: null, serveMs: null },
    400,
    width,
  )
  const lines = bars.split('\n')
  assert.equal(lines[1], '  decide          -')
  assert.equal(lines[5], '  unknown     200ms                      ....................')
})

test('an outage that has just begun divides by nothing', () => {
  const nothing = { detectMs: 0, decideMs: null, fenceMs: null, startMs: null, serveMs: null }
  assert.ok(!formatPartBars(nothing, 0, width).includes('NaN'))
})
