import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { snapshotIdSchema } from '../../model/ids.ts'
import type { VmChange } from '../../model/snapshots/vm-change.ts'
import { describeChange } from './describe-change.ts'
import { type ChangeFacts, judgeChange, mayBeAwayMs } from './judge-change.ts'

const before = { at: '1970-01-01T00:00:00.000Z', service: 'correct', crashes: 1, bootId: 'one', writtenMiB: 4 } as const
const change: VmChange = {
  ...{ snapshotId: snapshotIdSchema.parse('snap-aaaaaaaa'), before, checks: ['true'], isAuto: true, begunBy: 'test' },
  ...{ watchedUntil: '1970-01-01T00:10:00.000Z', worse: null, revertTaskId: null },
}
const well: ChangeFacts = {
  state: 'running',
  service: 'correct',
  wrongSinceMs: null,
  crashes: 1,
  checks: [],
  nowMs: 60_000,
}
const judge = (facts: Partial<ChangeFacts>, changes: Partial<VmChange> = {}) =>
  judgeChange({ ...change, ...changes }, { ...well, ...facts })

describe('a change', () => {
  test('that does well is fine until its time is over', () => {
    assert.equal(judge({}).kind, 'fine')
    assert.equal(judge({ nowMs: 600_000 }).kind, 'over')
  })

  test('may restart the service and reboot the guest, and not leave it away', () => {
    const away = { service: 'wrong', nowMs: 60_000 } as const
    assert.equal(judge({ ...away, wrongSinceMs: 60_000 - mayBeAwayMs + 1 }).kind, 'fine')
    assert.equal(judge({ ...away, wrongSinceMs: 60_000 - mayBeAwayMs }).kind, 'worse')
    assert.equal(judge({ service: 'unknown', state: 'restarting', wrongSinceMs: 0 }).kind, 'worse')
  })

  test('is not blamed for what was so before', () => {
    const broken = { before: { ...before, service: 'wrong' } } as const
    assert.equal(judge({ service: 'wrong', wrongSinceMs: 0 }, broken).kind, 'fine')
    assert.equal(judge({ crashes: 1 }).kind, 'fine')
  })

  test('is worse when the machine fails, or a check does twice in a row', () => {
    assert.equal(judge({ crashes: 2 }).kind, 'worse')
    assert.equal(judge({ state: 'failed' }).kind, 'worse')
    const ended = (...codes: readonly (number | null)[]) => ({ checks: [{ check: 'true', ended: codes }] })
    assert.equal(judge(ended(1)).kind, 'fine')
    assert.equal(judge(ended(1, 0)).kind, 'fine')
    assert.equal(judge(ended(0, 1)).kind, 'fine')
    const verdict = judge(ended(0, 1, 1))
    assert.deepEqual(verdict, { kind: 'worse', reason: "the check 'true' ended with 1" })
    assert.equal(judge(ended(null, null)).kind, 'worse')
  })

  test('is told by what it did', () => {
    const after = { ...before, bootId: 'two', writtenMiB: 9, crashes: 2 }
    assert.deepEqual(describeChange(before, after), [
      'it serves, as before',
      'its guest was rebooted',
      '9 MiB were written to its disks',
      'it failed once',
    ])
  })
})
