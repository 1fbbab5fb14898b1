/** What holds of the ledger whatever happens to a service. fast-check prints the seed of a failure. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { outageSchema } from '../../model/ledger/outage.ts'
import { computeAvailability } from './availability.ts'
import { assemble, noonMs } from './ledger.fixture.ts'
import { anyHappenings, tellHappenings } from './ledger-history.fixture.ts'
import { recount } from './recount.fixture.ts'

const runs = { numRuns: 150 }

test('the ledger’s sums equal an independent recount from the raw entries', () => {
  fc.assert(
    fc.property(anyHappenings, (happenings) => {
      const { entries, endMs } = tellHappenings(happenings)
      const { sums } = computeAvailability(assemble(entries, endMs), { sinceMs: noonMs, untilMs: noonMs + endMs })
      const { up, degraded, down, drillDown, planned, unobserved } = recount(entries, noonMs, endMs)
      assert.deepEqual(sums, {
        upMs: up,
        degradedMs: degraded,
        downMs: down,
        drillDownMs: drillDown,
        plannedMs: planned,
        unobservedMs: unobserved,
      })
    }),
    runs,
  )
})

test('every failure is one outage, with its drill, and every cure is one recovery', () => {
  fc.assert(
    fc.property(anyHappenings, (happenings) => {
      const { entries, endMs } = tellHappenings(happenings)
      const real = happenings.filter(({ kind }) => kind === 'kill' || kind === 'hang' || kind === 'host-dies').length
      const drilled = happenings.filter(({ kind }) => kind === 'drill').length
      const assembled = assemble(entries, endMs)
      const figures = computeAvailability(assembled, { sinceMs: noonMs, untilMs: noonMs + endMs })
      assert.deepEqual([figures.real.failures, figures.real.recoveries], [real, real])
      assert.deepEqual([figures.drills.failures, figures.drills.recoveries], [drilled, drilled])
      assert.equal(figures.withDrills.failures, real + drilled)
    }),
    runs,
  )
})

test('over any window the sums are exactly its length', () => {
  const anyTime = fc.integer({ min: -500, max: 5000 })
  fc.assert(
    fc.property(anyHappenings, anyTime, fc.integer({ min: 1, max: 6000 }), (happenings, since, length) => {
      const { entries, endMs } = tellHappenings(happenings)
      const window = { sinceMs: noonMs + since, untilMs: noonMs + since + length }
      const { sums } = computeAvailability(assemble(entries, endMs), window)
      assert.equal(
        Object.values(sums).reduce((sum, part) => sum + part, 0),
        length,
      )
      assert.ok(Object.values(sums).every((part) => part >= 0))
    }),
    runs,
  )
})

test('conditions follow each other without a gap, and the time down is what the outages last', () => {
  fc.assert(
    fc.property(anyHappenings, (happenings) => {
      const { entries, endMs } = tellHappenings(happenings)
      const { intervals, outages } = assemble(entries, endMs)
      for (const [index, { fromMs, toMs }] of intervals.entries()) {
        assert.ok(toMs > fromMs)
        assert.equal(fromMs, intervals[index - 1]?.toMs ?? fromMs)
      }
      const downMs = intervals.filter(({ condition }) => condition === 'down').map(({ fromMs, toMs }) => toMs - fromMs)
      assert.deepEqual(
        outages.map(({ durationMs }) => durationMs),
        downMs,
      )
    }),
    runs,
  )
})

test('the parts of an outage never sum to more than it, and its bounds enclose its duration', () => {
  fc.assert(
    fc.property(anyHappenings, (happenings) => {
      const { entries, endMs } = tellHappenings(happenings)
      for (const outage of assemble(entries, endMs).outages) {
        assert.deepEqual(outageSchema.parse(outage), outage)
        const duration = outage.durationMs ?? 0
        const known = Object.values(outage.parts).reduce<number>((sum, part) => sum + (part ?? 0), 0)
        assert.ok(known <= duration, `${known} of ${duration}`)
        assert.ok((outage.durationAtLeastMs ?? 0) <= duration && duration <= (outage.durationAtMostMs ?? duration))
      }
    }),
    runs,
  )
})

test('entries in any order, and doubled, say the same', () => {
  fc.assert(
    fc.property(anyHappenings, fc.infiniteStream(fc.nat()), (happenings, order) => {
      const { entries, endMs } = tellHappenings(happenings)
      const keyed = [...entries, ...entries].map((entry) => ({ entry, key: Number(order.next().value) }))
      const shuffled = keyed.toSorted((one, other) => one.key - other.key).map(({ entry }) => entry)
      assert.deepEqual(assemble(shuffled, endMs), assemble(entries, endMs))
    }),
    runs,
  )
})

test('from a quiet point on, the rest of the entries says the same as all of them', () => {
  let resumed = 0
  fc.assert(
    fc.property(anyHappenings, fc.double({ min: 0, max: 1, noNaN: true }), (happenings, share) => {
      const { entries, endMs } = tellHappenings(happenings)
      const known = entries.filter(({ record }) => Date.parse(record.at) <= noonMs + endMs * share)
      const { quiet } = assemble(known, endMs * share)
      if (quiet === null) return
      const later = entries.filter(({ record }) => Date.parse(record.at) > quiet.atMs)
      const rest = assemble(later, endMs, JSON.parse(JSON.stringify(quiet)))
      if (rest.reachesBack) return
      resumed += 1
      const whole = assemble(entries, endMs)
      const clipped = whole.intervals
        .filter(({ toMs }) => toMs > quiet.atMs)
        .map((interval) => ({ ...interval, fromMs: Math.max(interval.fromMs, quiet.atMs) }))
      assert.deepEqual(rest.intervals, clipped)
      assert.deepEqual(
        rest.outages,
        whole.outages.filter(({ beganBetween }) => Date.parse(beganBetween[1]) > quiet.atMs),
      )
      assert.deepEqual(rest.quiet ?? quiet, whole.quiet)
    }),
    runs,
  )
  assert.ok(resumed > 50, `${resumed} histories were resumed`)
})
