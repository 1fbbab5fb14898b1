import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import type { SnapshotSchedule } from '../../model/snapshots/snapshot-schedule.ts'
import { planSchedule } from './plan-schedule.ts'
import { makeSnapshot, snapshotIdOf } from './snapshot.fixture.ts'

const hourMs = 3_600_000
const schedule: SnapshotSchedule = {
  ...{ everySeconds: 3600, keep: 2, kind: 'disk', setBy: 'test' },
  setAt: new Date(0).toISOString(),
}
const at = (hours: number) => new Date(hours * hourMs).toISOString()
const taken = (word: string, hours: number, changes: Partial<Snapshot> = {}) =>
  makeSnapshot(word, { origin: 'schedule', takenAt: at(hours), ...changes })
const ask = (snapshots: readonly Snapshot[], hours: number, triedAtHours: number | null = null) =>
  planSchedule({
    ...{ schedule, snapshots, nowMs: hours * hourMs },
    triedAtMs: triedAtHours === null ? null : triedAtHours * hourMs,
  })

describe('a schedule', () => {
  test('takes the first at once, and each next one when its time has come', () => {
    assert.equal(ask([], 0).takes, 'auto-19700101-0000')
    assert.equal(ask([taken('a', 1)], 1.5, 1).takes, null)
    assert.equal(ask([taken('a', 1)], 2, 1).takes, 'auto-19700101-0200')
  })

  test('tries again after a minute what failed, and not at every look', () => {
    const late = 5
    assert.equal(ask([taken('a', 1)], late, late).takes, null)
    assert.equal(ask([taken('a', 1)], late + 0.02, late).takes, 'auto-19700101-0501')
  })

  test('is not hurried by snapshots of the owner, and never lets them go', () => {
    const snapshots = [makeSnapshot('mine', { takenAt: at(1.9) }), taken('a', 0), taken('b', 1), taken('c', 2)]
    assert.deepEqual(ask(snapshots, 2.5, 2), { takes: null, letsGo: [snapshotIdOf('a')] })
  })

  test('keeps what is protected, and as many as it says beside the newest', () => {
    const snapshots = [taken('a', 0, { isProtected: true }), taken('b', 1), taken('c', 2), taken('d', 3)]
    assert.deepEqual(ask(snapshots, 3.5, 3).letsGo, [snapshotIdOf('b')])
  })

  test('finds a name that is free', () => {
    const snapshots = [taken('a', 1), makeSnapshot('b', { name: 'auto-19700101-0200' })]
    assert.equal(ask(snapshots, 2, 1).takes, 'auto-19700101-0200-2')
  })
})
