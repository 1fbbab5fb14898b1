import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConditionInterval, Outage } from '../../model/ledger/outage.ts'
import { computeAvailability, type History } from './availability.ts'
import { noonMs, vmId } from './ledger.fixture.ts'

const hour = 3_600_000
const day = 24 * hour

type Away = {
  readonly atMs: number
  readonly forMs: number
  readonly drillId?: string | null
  readonly isStopped?: boolean
}

/** A service that was up but for these times. */
function history(untilMs: number, aways: readonly Away[]): History {
  const intervals: ConditionInterval[] = []
  let upSinceMs = 0
  const add = ({ fromMs, toMs, ...rest }: ConditionInterval) => {
    if (toMs > fromMs) intervals.push({ fromMs: noonMs + fromMs, toMs: noonMs + toMs, ...rest })
  }
  for (const { atMs, forMs, drillId = null } of aways) {
    add({ fromMs: upSinceMs, toMs: atMs, condition: 'up', drillId: null })
    add({ fromMs: atMs, toMs: atMs + forMs, condition: 'down', drillId })
    upSinceMs = atMs + forMs
  }
  add({ fromMs: upSinceMs, toMs: untilMs, condition: 'up', drillId: null })
  return { intervals, outages: aways.map(outageOf) }
}

function outageOf({ atMs, forMs, drillId = null, isStopped = false }: Away): Outage {
  const [beganAt, endedAt] = [atMs, atMs + forMs].map((ms) => new Date(noonMs + ms).toISOString())
  assert.ok(beganAt !== undefined && endedAt !== undefined)
  return {
    id: `out-aaaaaaaa-${atMs.toString(36)}`,
    service: vmId,
    serviceName: 'web',
    cause: 'process-died',
    causeDetail: '',
    beganAt,
    beganBetween: [beganAt, beganAt],
    endedBetween: [endedAt, endedAt],
    endedBy: isStopped ? 'planned' : 'answer',
    durationMs: forMs,
    durationAtLeastMs: forMs,
    durationAtMostMs: forMs,
    parts: { detectMs: null, decideMs: null, fenceMs: null, startMs: null, serveMs: null },
    attempts: [],
    drillId,
    planned: false,
  }
}

const over = (untilMs: number, sinceMs = 0) => ({ sinceMs: noonMs + sinceMs, untilMs: noonMs + untilMs })
const near = (actual: number | null, expected: number) =>
  assert.ok(actual !== null && Math.abs(actual / expected - 1) < 1e-4, `${actual} is not ${expected}`)

test('one second away in a thousand is 99.9 %, three nines', () => {
  const { real, sums } = computeAvailability(history(1_000_000, [{ atMs: 5000, forMs: 1000 }]), over(1_000_000))
  assert.equal(real.availability, 0.999)
  near(real.nines, 3)
  assert.deepEqual([sums.upMs, sums.downMs, real.mttfMs, real.mttrMeanMs], [999_000, 1000, 999_000, 1000])
})

test('two failures in 800 hours: MTTF 400 hours, with 95 % between 111 and 3303 hours', () => {
  const aways = [
    { atMs: hour, forMs: 0 },
    { atMs: 2 * hour, forMs: 0 },
  ]
  const { real } = computeAvailability(history(800 * hour, aways), over(800 * hour))
  assert.equal(real.mttfMs, 400 * hour)
  near(real.mttfBoundsMs.low, (1600 / 14.449375) * hour)
  near(real.mttfBoundsMs.high, (1600 / 0.484419) * hour)
})

test('without a failure there is a lower bound of the MTTF only: the rule of three', () => {
  const { real } = computeAvailability(history(300 * hour, []), over(300 * hour))
  assert.deepEqual([real.failures, real.availability, real.nines, real.mttfMs], [0, 1, null, null])
  near(real.mttfBoundsMs.low, (300 / 2.995732) * hour)
  assert.equal(real.mttfBoundsMs.high, null)
  assert.deepEqual(real.availabilityBounds, { low: null, high: null })
})

test('the interval of the availability encloses it, and narrows with more failures of the same kind', () => {
  const widthOf = (failures: number) => {
    const aways = Array.from({ length: failures }, (_none, index) => ({ atMs: (index + 0.5) * hour, forMs: 1000 }))
    const { real } = computeAvailability(history(failures * hour, aways), over(failures * hour))
    const { low, high } = real.availabilityBounds
    assert.ok(low !== null && high !== null && real.availability !== null)
    assert.ok(low < real.availability && real.availability < high)
    return high - low
  }
  assert.ok(widthOf(2) > 3 * widthOf(20))
  assert.ok(widthOf(20) > 3 * widthOf(500))
})

test('drills are apart: neither up nor down in the real figures', () => {
  const aways = [
    { atMs: 1000, forMs: 100 },
    { atMs: 5000, forMs: 4000, drillId: 'task-aaaaaaaa' },
  ]
  const { real, drills, withDrills, sums } = computeAvailability(history(14_100, aways), over(14_100))
  assert.deepEqual([sums.upMs, sums.downMs, sums.drillDownMs], [10_000, 100, 4000])
  assert.deepEqual([real.failures, drills.failures, withDrills.failures], [1, 1, 2])
  assert.deepEqual([real.mttrMedianMs, drills.mttrMedianMs, withDrills.mttrMedianMs], [100, 4000, 2050])
  assert.deepEqual([real.availability, drills.availability], [10_000 / 10_100, 10_000 / 14_000])
})

test('times to recover: median between the middle two, p99 the time that 99 of 100 did not exceed', () => {
  const aways = Array.from({ length: 200 }, (_none, index) => ({ atMs: index * 1000, forMs: index + 1 }))
  const { real } = computeAvailability(history(300_000, aways), over(300_000))
  assert.deepEqual([real.mttrMedianMs, real.mttrP99Ms, real.recoveries], [100.5, 198, 200])
})

test('an outage that a user ended is a failure, but no time to recover', () => {
  const { real } = computeAvailability(history(9000, [{ atMs: 10, forMs: 50, isStopped: true }]), over(9000))
  assert.deepEqual([real.failures, real.recoveries, real.mttrMeanMs], [1, 0, null])
})

test('what was before the first entry is unobserved', () => {
  const { sums, real } = computeAvailability(history(1000, []), over(1000, -500))
  assert.deepEqual([sums.unobservedMs, sums.upMs, real.availability], [500, 1000, 1])
  assert.equal(computeAvailability({ intervals: [], outages: [] }, over(1000)).real.availability, null)
})

test('the worst minute tells many short outages from one long one of the same sum', () => {
  const long = computeAvailability(history(day, [{ atMs: hour, forMs: 60_000 }]), over(day))
  const short = Array.from({ length: 60 }, (_none, index) => ({ atMs: index * 600_000, forMs: 1000 }))
  const many = computeAvailability(history(day, short), over(day))
  assert.equal(long.real.availability, many.real.availability)
  const worst = (sizes: typeof long) => sizes.windowMinimums.map(({ availability }) => availability)
  assert.deepEqual(worst(long), [0, 1 - 60 / 3600, 1 - 60 / 86_400, null, null])
  assert.deepEqual(worst(many), [1 - 1 / 60, 1 - 6 / 3600, 1 - 60 / 86_400, null, null])
})
