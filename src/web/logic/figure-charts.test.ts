import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FigureHistory } from '../../model/api/figure-routes.ts'
import { noFigures } from '../../model/figures.ts'
import { describeChart, plotColumns, withNews } from './figure-charts.ts'

const beganAtMs = Date.parse('2026-03-01T12:00:00.000Z')
const minutes = (atMs: number) => `${(atMs - beganAtMs) / 60_000} min`

function history(points: readonly (readonly [minute: number, cpuPercent: number])[]): FigureHistory {
  const zeros = points.map(() => 0)
  return {
    span: 'hour',
    stepMs: 5_000,
    timesMs: points.map(([minute]) => beganAtMs + minute * 60_000),
    values: {
      cpuPercent: points.map(([, percent]) => percent),
      memoryMiB: zeros,
      diskReadKiBPerSecond: zeros,
      diskWriteKiBPerSecond: zeros,
      networkInKiBPerSecond: zeros,
      networkOutKiBPerSecond: zeros,
      pauseMs: zeros,
    },
  }
}

test('a chart is said in a sentence: what is now, and what was most and when', () => {
  const sentence = describeChart(
    history([
      [0, 12],
      [5, 64.26],
      [10, 8],
    ]),
    'cpu',
    minutes,
  )
  assert.equal(sentence, 'busy 0.08 CPUs, at most 0.64 CPUs at 5 min.')
  assert.equal(describeChart(history([]), 'network', minutes), 'Nothing was measured yet.')
})

test('what comes in is added once, and what is older than the span falls off', () => {
  const before = history([
    [0, 1],
    [30, 2],
  ])
  const news = (minute: number, cpuPercent: number) => ({
    id: 'vm-aaaaaaaa',
    atMs: beganAtMs + minute * 60_000,
    figures: { ...noFigures, cpuPercent },
  })
  const after = withNews(before, [news(30, 9), news(61, 3)])
  assert.deepEqual(after.values.cpuPercent, [2, 3])
  assert.deepEqual(after.timesMs.map(minutes), ['30 min', '61 min'])
})

test('nothing is drawn where nothing was measured, and the older part of an hour may be coarse', () => {
  const [times, line] = plotColumns(
    history([
      [0, 1],
      [5, 2],
      [6, 3],
      [8, 4],
    ]),
    'cpu',
  )
  assert.deepEqual(
    line,
    [1, 2, 3, null, 4],
    'after a step of the coarser figures five minutes are no hole; after another one two are',
  )
  assert.equal(times?.length, 5)
})
