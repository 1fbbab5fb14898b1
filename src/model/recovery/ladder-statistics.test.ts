import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  emptyStatistics,
  estimateRung,
  type LadderStatistics,
  ladderStatisticsSchema,
  noteOutcome,
  type RungOutcome,
} from './ladder-statistics.ts'
import { failureCauseSchema, rungSchema } from './recovery-policy.ts'

function after(outcomes: readonly RungOutcome[]): LadderStatistics {
  return outcomes.reduce(noteOutcome, emptyStatistics)
}
const boots = (count: number, isCured: boolean, tookMs: number): RungOutcome[] =>
  Array.from({ length: count }, () => ({ cause: 'process-died', rung: 'boot', isCured, tookMs }))
function estimateBoot(statistics: LadderStatistics) {
  const estimate = estimateRung(statistics, 'process-died', 'boot')
  assert.ok(estimate)
  return estimate
}
const anyOutcome: fc.Arbitrary<RungOutcome> = fc.record({
  cause: fc.constantFrom(...failureCauseSchema.options),
  rung: fc.constantFrom(...rungSchema.options),
  isCured: fc.boolean(),
  tookMs: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.double()),
})

describe('what is known about a rung', () => {
  test('is the prior before anything was measured: after a dead process a resume is sooner back than a boot', () => {
    const resume = estimateRung(emptyStatistics, 'process-died', 'resume-here')
    const boot = estimateBoot(emptyStatistics)
    assert.ok(resume && resume.curedMs < boot.curedMs && resume.probabilityOfCure >= boot.probabilityOfCure)
    assert.equal(boot.attempts, 0)
  })

  test('is nothing where the rung makes no sense', () => {
    for (const cause of failureCauseSchema.options) {
      const isSensible = estimateRung(emptyStatistics, cause, 'restart-in-guest') !== undefined
      assert.equal(isSensible, cause === 'wrong-answers', cause)
    }
    assert.equal(estimateRung(emptyStatistics, 'host-died', 'resume-here'), undefined)
  })

  test('is what was measured after a handful of attempts, and the newest attempts weigh most', () => {
    const slow = estimateBoot(after(boots(20, true, 20_000)))
    assert.ok(slow.curedMs > 15_000 && slow.probabilityOfCure > 0.95)
    const nowFailing = estimateBoot(after([...boots(20, true, 20_000), ...boots(20, false, 90_000)]))
    assert.ok(nowFailing.probabilityOfCure < 0.4, 'twenty failures outweigh the twenty cures before them')
    assert.ok(nowFailing.failedMs > 80_000)
  })

  test('of one cause says nothing about another', () => {
    const panics = after(boots(20, false, 1).map((outcome) => ({ ...outcome, cause: 'guest-panicked' as const })))
    assert.deepEqual(estimateBoot(panics), estimateBoot(emptyStatistics))
  })
})

test('whatever is noted: it stays small, can be stored and read again, and every chance lies between never and always', () => {
  fc.assert(
    fc.property(fc.array(anyOutcome, { maxLength: 200 }), (outcomes) => {
      const statistics = after(outcomes)
      const text = JSON.stringify(statistics)
      assert.ok(text.length < 5_000)
      assert.deepEqual(ladderStatisticsSchema.parse(JSON.parse(text)), statistics)
      for (const cause of failureCauseSchema.options) {
        for (const rung of rungSchema.options) {
          const estimate = estimateRung(statistics, cause, rung)
          if (estimate === undefined) continue
          assert.ok(estimate.probabilityOfCure > 0 && estimate.probabilityOfCure < 1)
          assert.ok(estimate.curedMs >= 0 && estimate.curedMs <= 3_600_000 * 1.001)
          assert.ok(estimate.failedMs >= 0 && estimate.failedMs <= 3_600_000 * 1.001)
        }
      }
    }),
    { numRuns: 50 },
  )
})

test('statistics that cannot be are refused when they are read', () => {
  const tally = { attempts: 1, cures: 2, curedMs: 5, failedMs: 0 }
  assert.equal(ladderStatisticsSchema.safeParse({ unknown: { boot: tally } }).success, false)
  assert.equal(ladderStatisticsSchema.safeParse({ unknown: { boot: { ...tally, attempts: 2 } } }).success, true)
  assert.equal(ladderStatisticsSchema.safeParse({ unknown: { hope: tally } }).success, false)
})
