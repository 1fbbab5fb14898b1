import assert from 'node:assert/strict'
import { test } from 'node:test'
import { figureSpans, figuresEveryMs, noFigures } from '../../model/figures.ts'
import { createRecentFigures } from './recent-figures.ts'
import { decodeRing, encodeRecord, recordBytes, ringBytesOfOne } from './ring-file.ts'

const hourAtMs = Date.parse('2026-03-01T12:00:00.000Z')
const busy = (cpuPercent: number, pauseMs = 0) => ({ ...noFigures, cpuPercent, pauseMs })

test('the last hour is kept and nothing before it, however long it goes on', () => {
  const recent = createRecentFigures()
  for (let step = 0; step < 2_000; step += 1)
    recent.add({ atMs: hourAtMs + step * figuresEveryMs, figures: busy(step) })
  const points = recent.after(0)
  assert.equal(points.length, 720)
  assert.deepEqual(
    [points[0], points.at(-1)].map((point) => point?.figures.cpuPercent),
    [1_280, 1_999],
  )
  assert.equal(recent.after(hourAtMs + 1_997 * figuresEveryMs).length, 2)
})

test('a step of minutes ends with its mean and its longest pause; times that go back are left out', () => {
  const recent = createRecentFigures()
  const { stepMs } = figureSpans.week
  assert.equal(recent.add({ atMs: hourAtMs + 1_000, figures: busy(10, 3) }), undefined)
  assert.equal(recent.add({ atMs: hourAtMs + 6_000, figures: busy(30, 9) }), undefined)
  assert.equal(recent.add({ atMs: hourAtMs + 2_000, figures: busy(99, 99) }), undefined)
  const ended = recent.add({ atMs: hourAtMs + stepMs, figures: busy(50) })
  assert.deepEqual(ended, { atMs: hourAtMs, figures: busy(20, 9) })
})

/** A file as the disk has it after these writes. */
function written(
  span: 'week' | 'year',
  points: readonly { readonly atMs: number; readonly cpu: number }[],
): Uint8Array {
  const file = new Uint8Array(ringBytesOfOne)
  for (const { atMs, cpu } of points) {
    const { position, bytes } = encodeRecord(span, { atMs, figures: busy(cpu) })
    file.set(bytes, position)
  }
  return file
}

test('a ring gives back what is of its span, in order, whatever order it was written in', () => {
  const { stepMs, spanMs } = figureSpans.week
  const file = written('week', [
    { atMs: hourAtMs, cpu: 3 },
    { atMs: hourAtMs - stepMs, cpu: 2 },
    { atMs: hourAtMs - spanMs, cpu: 1 },
    { atMs: hourAtMs - spanMs + stepMs, cpu: 7 },
  ])
  const points = decodeRing('week', file, hourAtMs)
  assert.deepEqual(
    points.map(({ atMs, figures }) => [atMs, figures.cpuPercent]),
    [
      [hourAtMs - spanMs + stepMs, 7],
      [hourAtMs - stepMs, 2],
    ],
    'the record of a week ago and the one of now have one place, and the later write has it',
  )
})

test('a record that a crash has torn counts as missing, and the others are whole', () => {
  const { stepMs } = figureSpans.week
  const file = written('week', [
    { atMs: hourAtMs - stepMs, cpu: 2 },
    { atMs: hourAtMs, cpu: 3 },
  ])
  const { position } = encodeRecord('week', { atMs: hourAtMs, figures: busy(3) })
  file.fill(0xff, position + 6, position + 20)
  assert.deepEqual(
    decodeRing('week', file, hourAtMs).map(({ figures }) => figures.cpuPercent),
    [2],
  )
  assert.deepEqual(
    decodeRing('week', file.subarray(0, recordBytes - 1), hourAtMs),
    [],
    'nor does a short file break it',
  )
})

test('what is kept of one host or machine is 225 KiB on the disk at the most', () => {
  assert.equal(ringBytesOfOne, (2_016 + 4_380) * 36)
})
