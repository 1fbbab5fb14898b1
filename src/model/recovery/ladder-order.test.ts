import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { waitBeforeMs } from './ladder-history.ts'
import { type Candidate, chanceAfter, findCheapestNext, noTries, type OrderRules, type Tries } from './ladder-order.ts'
import { type Rung, rungSchema } from './recovery-policy.ts'

const free: OrderRules = { isAllowed: () => true, waitMs: () => 0 }
const resumeFirst: OrderRules = {
  isAllowed: (rung, made) => rung !== 'boot' || made['resume-here'] > 0,
  waitMs: (rung, made) => waitBeforeMs(1, { ...made, [rung]: made[rung] + 1 }),
}

function candidate(rung: Rung, chance: number, tookMs: number): Candidate {
  const estimate = { probabilityOfCure: chance, curedMs: tookMs, failedMs: tookMs, attempts: 20 }
  return { rung, estimate, triesBefore: 0, triesLeft: 1 }
}
const firstOf = (candidates: readonly Candidate[], rules = free) => findCheapestNext(candidates, rules)?.candidate.rung

/** The cost of the cheapest of all orders, each written out and added up. */
function cheapestByBruteForce(candidates: readonly Candidate[], rules: OrderRules): number {
  const costs: number[] = []
  const continueWith = (made: Tries, spentMs: number, chanceToGetHere: number): void => {
    let isEnd = true
    for (const { rung, estimate, triesBefore, triesLeft } of candidates) {
      if (made[rung] >= triesLeft || !rules.isAllowed(rung, made)) continue
      isEnd = false
      const chance = chanceAfter(estimate, triesBefore + made[rung])
      const stepMs = rules.waitMs(rung, made) + chance * estimate.curedMs + (1 - chance) * estimate.failedMs
      const next = { ...made, [rung]: made[rung] + 1 }
      continueWith(next, spentMs + chanceToGetHere * stepMs, chanceToGetHere * (1 - chance))
    }
    if (isEnd) costs.push(spentMs)
  }
  continueWith(noTries, 0, 1)
  return Math.min(...costs)
}

describe('the first of several rungs', () => {
  test('is the one with less time for its chance, not simply the faster or the surer one', () => {
    const fastAndHopeless = candidate('resume-here', 0.01, 100)
    const slowAndSure = candidate('boot', 0.99, 5_000)
    assert.equal(firstOf([fastAndHopeless, slowAndSure]), 'boot')
    assert.equal(firstOf([candidate('resume-here', 0.1, 100), slowAndSure]), 'resume-here')
  })

  test('is the lower one on the ladder when both cost the same, and none when nothing is left', () => {
    assert.equal(firstOf([candidate('resume-here', 0.5, 100), candidate('resume-elsewhere', 0.5, 100)]), 'resume-here')
    assert.equal(firstOf([]), undefined)
    assert.equal(firstOf([{ ...candidate('boot', 0.5, 100), triesLeft: 0 }]), undefined)
  })

  test('is no longer the one that has failed already, when another is nearly as good', () => {
    const tried = { ...candidate('resume-here', 0.9, 1_000), triesBefore: 1 }
    assert.equal(firstOf([tried, candidate('resume-elsewhere', 0.9, 1_500)]), 'resume-elsewhere')
  })

  test('is never one that the rules forbid, however cheap', () => {
    const cheapBoot = candidate('boot', 0.99, 10)
    assert.equal(firstOf([candidate('resume-here', 0.1, 9_000), cheapBoot], resumeFirst), 'resume-here')
  })
})

test('its expected time is that of the best of all orders, added up one by one', () => {
  const candidates = fc
    .uniqueArray(fc.constantFrom(...rungSchema.options), { minLength: 1, maxLength: 4 })
    .chain((rungs) =>
      fc.tuple(
        ...rungs.map((rung) =>
          fc.record({
            rung: fc.constant(rung),
            estimate: fc.record({
              probabilityOfCure: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
              curedMs: fc.integer({ min: 1, max: 100_000 }),
              failedMs: fc.integer({ min: 1, max: 100_000 }),
              attempts: fc.constant(20),
            }),
            triesBefore: fc.integer({ min: 0, max: 2 }),
            triesLeft: fc.integer({ min: 1, max: 2 }),
          }),
        ),
      ),
    )
  fc.assert(
    fc.property(candidates, fc.boolean(), (list, isFree) => {
      const rules = isFree || !list.some(({ rung }) => rung === 'resume-here') ? free : resumeFirst
      const found = findCheapestNext(list, rules)
      const best = cheapestByBruteForce(list, rules)
      assert.ok(found && Math.abs(found.expectedMs - best) <= best * 1e-9)
      assert.ok(rules.isAllowed(found.candidate.rung, noTries))
    }),
    { numRuns: 100 },
  )
})
