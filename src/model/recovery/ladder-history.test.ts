import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { attemptsToRemember, countByRung, type RungAttempt, readHistory, waitBeforeMs } from './ladder-history.ts'
import type { Rung } from './recovery-policy.ts'

const second = 1_000
const attempt = (rung: Rung, atSecond: number, isCured: boolean): RungAttempt => ({
  rung,
  beganAtMs: atSecond * second,
  endedAtMs: atSecond * second,
  isCured,
})
function history(attempts: readonly RungAttempt[], failuresAtSeconds: readonly number[]) {
  const failureTimesMs = failuresAtSeconds.map((at) => at * second)
  return readHistory({ attempts, failureTimesMs, nowMs: Math.max(...failureTimesMs) })
}

describe('an attempt', () => {
  test('that cured for half a minute settles its failure; one that cured for less has cured nothing', () => {
    const resumed = [attempt('resume-here', 100, true)]
    assert.equal(history(resumed, [100, 129]).counted.length, 1)
    assert.equal(history(resumed, [100, 130]).counted.length, 0)
  })

  test('that cured for half a minute counts as in vain all the same when the machine has failed four times without a calm', () => {
    const resumed = [0, 60, 120].map((at) => attempt('resume-here', at, true))
    assert.equal(history(resumed.slice(0, 2), [0, 60, 120]).counted.length, 0)
    assert.equal(history(resumed, [0, 60, 120, 180]).counted.length, 3)
  })

  test('that failed counts until something cures', () => {
    const tried = [attempt('resume-here', 1, false), attempt('boot', 5, true)]
    assert.equal(history(tried, [0, 10]).counted.length, 2)
    assert.equal(history(tried, [0, 60]).counted.length, 0)
  })
})

describe('two minutes of calm', () => {
  test('forgive every failure and attempt before them', () => {
    const tried = [attempt('resume-here', 1, false), attempt('boot', 5, true)]
    const calm = history(tried, [0, 125])
    assert.deepEqual([calm.failuresSinceCalm, calm.sinceCalm.length], [1, 0])
    const restless = history(tried, [0, 124])
    assert.deepEqual([restless.failuresSinceCalm, restless.sinceCalm.length], [2, 2])
  })

  test('are counted from the end of the last attempt: a slow recovery is no calm', () => {
    const slow: RungAttempt = { rung: 'boot', beganAtMs: 0, endedAtMs: 300 * second, isCured: true }
    assert.equal(history([slow], [0, 301]).failuresSinceCalm, 2)
  })

  test('end also what has to be remembered', () => {
    const tried = [attempt('boot', 0, true), attempt('resume-here', 200, true), attempt('boot', 260, true)]
    assert.deepEqual(attemptsToRemember(tried, [0, 200_000, 260_000]), tried.slice(1))
  })
})

test('the waits are 0, then a quarter of a second, then more up to half a minute', () => {
  const none = countByRung([])
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 50].map((failures) => waitBeforeMs(failures, none))
  assert.deepEqual(waits, [0, 250, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 30_000, 30_000])
})

test('a rung that was not tried yet begins at once, a repeated one waits', () => {
  const once = countByRung([attempt('resume-here', 0, false), attempt('boot', 0, false)])
  assert.equal(waitBeforeMs(1, once), 0)
  assert.equal(waitBeforeMs(1, { ...once, boot: 2 }), 250)
  assert.equal(waitBeforeMs(1, { ...once, boot: 2, 'resume-here': 2 }), 1_000)
})
