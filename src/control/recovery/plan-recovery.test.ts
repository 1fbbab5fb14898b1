import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { recoveryPlanSchema } from '../../model/api/recovery-routes.ts'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeVm,
  sessionIdOf,
  someTime,
  type VmChanges,
} from '../../model/cluster-state.fixture.ts'
import { imageIdSchema } from '../../model/ids.ts'
import { emptyStatistics, noteOutcome } from '../../model/recovery/ladder-statistics.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { type FailureCause, failureCauseSchema } from '../../model/recovery/recovery-policy.ts'
import type { ReadinessReport } from '../../model/vm.ts'
import { planRecovery } from './plan-recovery.ts'
import { type RecoveryFacts, recoveryFactsOf } from './recovery-facts.ts'

const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const warmFacts: RecoveryFacts = {
  vm: { name: 'web', recovery: { mode: 'warm' }, probe, ha: true },
  hostName: 'ada',
  image: { ageMs: 300_000, changedMiB: 3 },
  isImageOnStandby: true,
  standbyHostName: 'bob',
  hasSpare: true,
  note: '',
  staysBecause: undefined,
  unavailable: {},
  statistics: emptyStatistics,
}

function causeOf(facts: RecoveryFacts, cause: FailureCause) {
  const plan = planRecovery(facts).causes.find((one) => one.cause === cause)
  assert.ok(plan)
  return plan
}
const rungsOf = (facts: RecoveryFacts, cause: FailureCause) => causeOf(facts, cause).steps.map(({ rung }) => rung)

describe('the plan of a warm machine with everything ready', () => {
  test('names every cause, how it is found, what is tried, and how it ends; there is nothing to warn of', () => {
    const plan = planRecovery(warmFacts)
    assert.deepEqual(
      plan.causes.map(({ cause }) => cause),
      failureCauseSchema.options,
    )
    assert.deepEqual(plan.warnings, [])
    for (const { steps, otherwise, found } of plan.causes) {
      assert.ok(steps.length > 0 && found !== '')
      assert.match(otherwise, /^Needs a person: .*Look at/)
    }
    assert.deepEqual(recoveryPlanSchema.parse(plan), plan)
  })

  test('resumes here after a dead process, on another host after a dead host', () => {
    assert.equal(rungsOf(warmFacts, 'process-died')[0], 'resume-here')
    assert.equal(rungsOf(warmFacts, 'host-died')[0], 'resume-elsewhere')
    assert.match(causeOf(warmFacts, 'host-died').found, /ada falls silent.*proven dead/)
  })

  test('says for each step what it would lose', () => {
    const [resume, , , boot] = causeOf(warmFacts, 'process-died').steps
    assert.match(resume?.loses ?? '', /^3 MiB .* 5 minutes ago/)
    assert.match(boot?.loses ?? '', /^nothing on disk/)
  })

  test('expects a time between its fastest and its slowest step, and a shorter one where it was measured', () => {
    const { steps, expectedMs } = causeOf(warmFacts, 'process-died')
    assert.ok(expectedMs !== null && expectedMs > (steps[0]?.expectedMs ?? 0) && expectedMs < 5_000)
    const quick = { cause: 'process-died', rung: 'resume-here', isCured: true, tookMs: 80 } as const
    const statistics = Array.from({ length: 15 }, () => quick).reduce(noteOutcome, emptyStatistics)
    const measured = causeOf({ ...warmFacts, statistics }, 'process-died').expectedMs
    assert.ok(measured !== null && measured < expectedMs)
  })
})

test('the expected time is the mean over the steps that may cure, with the failed ones and the waits before', () => {
  const outcomes = [
    { cause: 'process-died', rung: 'boot', isCured: true, tookMs: 5_000 },
    { cause: 'process-died', rung: 'boot', isCured: false, tookMs: 60_000 },
  ] as const
  const statistics = outcomes.reduce(noteOutcome, emptyStatistics)
  const { steps, expectedMs } = causeOf({ ...warmFacts, image: null, statistics }, 'process-died')
  const [first, second] = steps.map(({ probabilityOfCure }) => probabilityOfCure)
  assert.ok(first !== undefined && second !== undefined)
  const secondServesMs = 60_000 + 250 + 5_000
  const expected = (first * 5_000 + (1 - first) * second * secondServesMs) / (1 - (1 - first) * (1 - second))
  assert.ok(expectedMs !== null && Math.abs(expectedMs - expected) < 1, `${expectedMs} and not ${expected}`)
})

describe('what is missing', () => {
  test('no image: it would boot, and warns of it', () => {
    const facts = { ...warmFacts, image: null, note: 'the cache of images is full' }
    assert.deepEqual(rungsOf(facts, 'process-died'), ['boot', 'boot'])
    assert.deepEqual(planRecovery(facts).warnings, [
      'It would boot: there is no memory image of it yet (the cache of images is full).',
    ])
    assert.match(causeOf(facts, 'process-died').otherwise, /resume-here is not possible: there is no memory image/)
  })

  test('no probe: wrong answers are never noticed', () => {
    const facts = { ...warmFacts, vm: { ...warmFacts.vm, probe: null } }
    assert.deepEqual(rungsOf(facts, 'wrong-answers'), [])
    assert.equal(causeOf(facts, 'wrong-answers').expectedMs, null)
    assert.match(planRecovery(facts).warnings.join(), /no probe/)
  })

  test('no other host: after the loss of its host it waits for it, and all else is met here', () => {
    const facts = { ...warmFacts, staysBecause: 'its disk is local to ada' }
    assert.deepEqual(rungsOf(facts, 'host-died'), [])
    assert.match(causeOf(facts, 'host-died').otherwise, /its disk is local to ada, so it waits until ada is back/)
    assert.deepEqual(rungsOf(facts, 'process-died'), ['resume-here', 'resume-here', 'boot', 'boot'])
    assert.match(planRecovery(facts).warnings.join(), /not recovered on another host/)
  })

  test('no spare and no image on the standby: it takes longer, and says so', () => {
    const facts = { ...warmFacts, hasSpare: false, isImageOnStandby: false }
    const [noSpare, noStandby] = planRecovery(facts).warnings
    assert.match(noSpare ?? '', /No process waits on ada/)
    assert.match(noStandby ?? '', /not on its standby bob yet/)
    assert.equal(rungsOf(facts, 'host-died')[0], 'resume-elsewhere')
  })
})

test('by hand everything can be ordered that is possible, also what is never automatic', () => {
  const byHand = planRecovery({ ...warmFacts, unavailable: { 'restart-in-guest': 'its guest has no agent' } }).byHand
  assert.deepEqual(
    byHand.map(({ rung, obstacle }) => [rung, obstacle]),
    [
      ['restart-in-guest', 'its guest has no agent'],
      ['resume-here', null],
      ['resume-elsewhere', null],
      ['boot', null],
      ['rebuild-root', null],
    ],
  )
  const boots = planRecovery({ ...warmFacts, vm: { ...warmFacts.vm, recovery: { mode: 'boot' } }, image: null }).byHand
  assert.match(boots.find(({ rung }) => rung === 'resume-here')?.obstacle ?? '', /declared that it boots/)
})

describe('the facts of a VM', () => {
  const imageId = imageIdSchema.parse('img-aaaaaaaa')
  const report: ReadinessReport = {
    configuration: '',
    service: 'correct',
    startedBy: 'boot',
    image: { imageId, kind: 'warm', capturedAt: someTime, pauseMs: 10, isLive: true, sizeMiB: 40, changedMiB: 7 },
    spare: 'ready',
    note: '',
  }
  const standby = { hostId: hostIdOf('bob'), session: sessionIdOf('bob'), imageId, chosenAt: someTime, reason: '' }
  function factsOf(changes: VmChanges = {}, hostNames = ['ada', 'bob']) {
    const vm = makeVm('web', { on: 'ada', status: { recovery: report }, standby, ...changes })
    const cluster = makeCluster({ hosts: hostNames.map((name) => makeHost(name)), vms: [vm] })
    return recoveryFactsOf(cluster, vm, { imageAgeMs: 1_000, unavailable: {}, statistics: emptyStatistics })
  }

  test('are where it runs, its image, and who would take it over', () => {
    const facts = factsOf()
    assert.deepEqual(facts.image, { ageMs: 1_000, changedMiB: 7 })
    assert.deepEqual([facts.hostName, facts.standbyHostName, facts.isImageOnStandby], ['ada', 'bob', true])
    assert.deepEqual([facts.hasSpare, facts.staysBecause], [true, undefined])
  })

  test('say why it stays: a local disk, no HA, no other host', () => {
    assert.equal(factsOf({ spec: { boundToHostId: hostIdOf('ada') } }).staysBecause, 'its disk is local to ada')
    assert.equal(factsOf({ spec: { ha: false } }).staysBecause, 'it has no HA')
    assert.match(factsOf({}, ['ada']).staysBecause ?? '', /no other host takes it: ada: it runs there/)
  })

  test('an older image on the standby is not the one that would be resumed', () => {
    const older = { ...standby, imageId: imageIdSchema.parse('img-bbbbbbbb') }
    assert.equal(factsOf({ standby: older }).isImageOnStandby, false)
  })

  test('are told as unknown while its host has not told', () => {
    const facts = factsOf({ status: { recovery: null } })
    assert.deepEqual([facts.image, facts.hasSpare, facts.note], [null, false, 'its host has not told'])
  })
})
