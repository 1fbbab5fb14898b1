/** What holds of the ladder whatever was measured, whatever is possible, and however its attempts end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bootsAtMost, type LadderQuestion, nextStep, planLadder, type RungAttempt, triesAtMost } from './ladder.ts'
import { calmMs } from './ladder-history.ts'
import { emptyStatistics, noteOutcome } from './ladder-statistics.ts'
import { type FailureCause, failureCauseSchema, type Recovery, type Rung, rungSchema } from './recovery-policy.ts'

const startMs = 5_000_000
/** Three cures that hold, as many as are believed, with all tries before each, and then all tries once more. */
const triesInOneUnrest = 4 * (2 + 2 + 1 + bootsAtMost + 1)

const anyCause: fc.Arbitrary<FailureCause> = fc.constantFrom(...failureCauseSchema.options)
const anyRecovery: fc.Arbitrary<Recovery> = fc.constantFrom<Recovery[]>(
  { mode: 'boot' },
  { mode: 'warm' },
  { mode: 'checkpoint', everySeconds: 60, keep: 2 },
)
const anyStatistics = fc
  .array(
    fc.record({
      cause: anyCause,
      rung: fc.constantFrom(...rungSchema.options),
      isCured: fc.boolean(),
      tookMs: fc.integer({ min: 0, max: 100_000 }),
    }),
    { maxLength: 60 },
  )
  .map((outcomes) => outcomes.reduce(noteOutcome, emptyStatistics))
const anyObstacles = fc
  .uniqueArray(fc.constantFrom(...rungSchema.options), { maxLength: 4 })
  .map((rungs) => Object.fromEntries(rungs.map((rung) => [rung, 'an obstacle'])))
const anyQuestion: fc.Arbitrary<LadderQuestion> = fc.record({
  recovery: anyRecovery,
  cause: anyCause,
  unavailable: anyObstacles,
  attempts: fc.constant([]),
  failureTimesMs: fc.constant([startMs]),
  statistics: anyStatistics,
  mayRebuildRoot: fc.boolean(),
  nowMs: fc.constant(startMs),
})
/** How one attempt goes; `holdsMs`: until it fails again, null when it doesn't cure. */
const anyEnding = fc.record({
  tookMs: fc.integer({ min: 0, max: 100_000 }),
  holdsMs: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: calmMs - 1 })),
})
const anyHistory = fc.array(anyEnding, { minLength: triesInOneUnrest, maxLength: triesInOneUnrest })

type Tried = { readonly rung: Rung; readonly waitMs: number; readonly failures: number }

/** The tries of one unrest, as its endings go, until a person is asked; undefined when the endings were used up before. */
function climb(question: LadderQuestion, endings: readonly { tookMs: number; holdsMs: number | null }[]) {
  const tried: Tried[] = []
  const failureTimesMs = [startMs]
  const attempts: RungAttempt[] = []
  let nowMs = startMs
  for (const { tookMs, holdsMs } of endings) {
    const step = nextStep({ ...question, attempts, failureTimesMs, nowMs })
    if (step.kind === 'needs-person') return tried
    tried.push({ rung: step.rung, waitMs: step.waitMs, failures: failureTimesMs.length })
    const beganAtMs = nowMs + step.waitMs
    const endedAtMs = beganAtMs + tookMs
    attempts.push({ rung: step.rung, beganAtMs, endedAtMs, isCured: holdsMs !== null })
    nowMs = endedAtMs + (holdsMs ?? 0)
    if (holdsMs !== null) failureTimesMs.push(nowMs)
  }
  return undefined
}

test('it ends by asking for a person after a bounded number of tries, as long as there is no calm', () => {
  fc.assert(
    fc.property(anyQuestion, anyHistory, (question, endings) => {
      assert.ok(climb(question, endings) !== undefined)
    }),
    { numRuns: 150 },
  )
})

test('no rung is tried more often for one failure than it may be', () => {
  fc.assert(
    fc.property(anyQuestion, (question) => {
      const plan = planLadder(question)
      assert.equal(plan.at(-1)?.kind, 'needs-person')
      for (const rung of rungSchema.options) {
        const tries = plan.filter((step) => step.kind === 'try' && step.rung === rung).length
        assert.ok(tries <= triesAtMost[rung], `${rung}: ${tries}`)
      }
    }),
  )
})

test('nothing is tried that cannot be, that its owner did not declare, or that makes no sense for the cause', () => {
  fc.assert(
    fc.property(anyQuestion, anyHistory, (question, endings) => {
      const { recovery, unavailable, cause, mayRebuildRoot } = question
      for (const { rung } of climb(question, endings) ?? []) {
        assert.equal(unavailable[rung], undefined)
        if (rung === 'resume-here') assert.ok(recovery.mode !== 'boot' && cause !== 'host-died')
        if (rung === 'resume-elsewhere') assert.ok(recovery.mode !== 'boot')
        if (rung === 'rebuild-root') assert.ok(mayRebuildRoot)
        if (rung === 'restart-in-guest') assert.equal(cause, 'wrong-answers')
      }
    }),
    { numRuns: 150 },
  )
})

test('a machine that is declared to resume is booted only after a resume, if any was possible', () => {
  fc.assert(
    fc.property(anyQuestion, (question) => {
      const rungs = planLadder(question).flatMap((step) => (step.kind === 'try' ? [step.rung] : []))
      const firstResume = rungs.findIndex((rung) => rung === 'resume-here' || rung === 'resume-elsewhere')
      const firstBoot = rungs.indexOf('boot')
      assert.ok(firstBoot === -1 || firstResume === -1 || firstResume < firstBoot)
    }),
  )
})

test('the first recovery begins at once, and waits never shrink while failures go on', () => {
  fc.assert(
    fc.property(anyQuestion, anyHistory, (question, endings) => {
      const waits = (climb(question, endings) ?? []).map(({ waitMs }) => waitMs)
      if (waits.length > 0) assert.equal(waits[0], 0)
      assert.deepEqual(
        waits,
        waits.toSorted((one, other) => one - other),
      )
      assert.ok(waits.every((waitMs) => waitMs <= 30_000))
    }),
    { numRuns: 150 },
  )
})

test('the same question gets the same step', () => {
  fc.assert(
    fc.property(anyQuestion, (question) => {
      assert.deepEqual(planLadder(question), planLadder(structuredClone(question)))
    }),
    { numRuns: 30 },
  )
})
