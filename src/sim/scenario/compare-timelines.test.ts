import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compareTimelines } from './compare-timelines.ts'
import { formatTimelineLine, parseTimelineLine, type TimelineLine } from './timeline.ts'

const line = (atMs: number, event: string, changes: Partial<TimelineLine> = {}): TimelineLine => ({
  atMs,
  who: 'controller',
  event,
  subject: 'web',
  sentence: '',
  ...changes,
})
const suspect = line(700, 'host.suspect', { sentence: 'silent for 800 ms', subject: 'h1' })
const unknown = line(701, 'vm.unknown')
const differences = (before: readonly TimelineLine[], after: readonly TimelineLine[]) =>
  compareTimelines(before, after).map(({ kind, line: { atMs, event } }) => `${kind} ${event} ${atMs}`)

describe('two timelines tell the same', () => {
  test('when moments and durations differ by less than half a second, and subjects take turns in another order', () => {
    const later = line(1_100, 'host.suspect', { sentence: 'silent for 1200 ms', subject: 'h1' })
    assert.deepEqual(differences([suspect, unknown], [unknown, later]), [])
  })
})

test('lines of one moment have no order', () => {
  const failed = line(703, 'vm.failed-on')
  assert.deepEqual(
    differences(
      [unknown, failed],
      [
        { ...failed, atMs: 700 },
        { ...unknown, atMs: 702 },
      ],
    ),
    [],
  )
})

describe('two timelines differ', () => {
  test('when a line is missing, new, or comes twice', () => {
    assert.deepEqual(differences([suspect, unknown], [suspect]), ['missing vm.unknown 701'])
    assert.deepEqual(differences([suspect], [suspect, unknown]), ['new vm.unknown 701'])
    assert.deepEqual(differences([unknown], [unknown, unknown]), ['new vm.unknown 701'])
  })

  test('when a sentence or a duration in it is another one, and when one comes at another time', () => {
    const changed = [line(700, 'host.suspect', { sentence: 'silent for 1500 ms', subject: 'h1' })]
    assert.deepEqual(differences([suspect], changed), ['missing host.suspect 700', 'new host.suspect 700'])
    assert.deepEqual(differences([unknown], [line(701, 'vm.unknown', { sentence: 'why' })]).length, 2)
    assert.deepEqual(differences([unknown], [line(1_300, 'vm.unknown')]), [
      'missing vm.unknown 701',
      'new vm.unknown 1300',
    ])
  })

  test('when lines of one subject come in another order', () => {
    const running = line(760, 'vm.running')
    assert.equal(
      differences(
        [unknown, running],
        [
          { ...running, atMs: 700 },
          { ...unknown, atMs: 760 },
        ],
      ).length,
      2,
    )
  })
})

test('a line is read as it was written', () => {
  for (const one of [suspect, unknown, line(123_456, 'x.y', { sentence: 'a  b' })])
    assert.deepEqual(parseTimelineLine(formatTimelineLine(one)), one)
  assert.equal(parseTimelineLine('something else'), undefined)
})
