import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DepartureReport } from '../../model/agent-protocol/migration-orders.ts'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import { accountOf } from './migration-account.ts'
import type { MigrationJournal } from './migration-journal.ts'

const hosts = { from: 'ada', to: 'bob' }
const departure: DepartureReport = {
  ...{ state: 'sent', method: 'precopy', transferredBytes: 50 * 2 ** 20, remainingBytes: 0, totalBytes: 2 ** 28 },
  ...{ dirtyBytesPerSecond: 0, disks: null, stoppedAtMs: 2_000, wasServing: true, detail: '' },
}
const journal: MigrationJournal = {
  ...{ vmId: vmIdOf('web'), wishedHostId: null, reason: 'asked for', departure },
  ...{ beganAtMs: 1_000, completedAtMs: 2_100, resumedAtMs: 2_060, answeredAtMs: 2_130, lost: null },
}

test('a move is told with what its clients saw of it, where a probe ran', () => {
  const { summary, figures, isWhole } = accountOf(journal, hosts)
  assert.equal(
    summary,
    'moved from ada to bob in 1100 ms, it stood still for 60 ms and answered its probe again after 130 ms, 50 MiB by precopy',
  )
  assert.deepEqual([isWhole, figures.pauseMs, figures.gapMs], [true, 60, 130])
})

test('without a probe, or of a service that did not answer before, nothing is told of answers', () => {
  const silent = { ...journal, departure: { ...departure, wasServing: false } }
  assert.equal(accountOf(silent, hosts).figures.gapMs, null)
  assert.doesNotMatch(accountOf({ ...journal, answeredAtMs: null }, hosts).summary, /probe/)
})

test('a machine that lost its memory is not said to have moved', () => {
  const { summary, isWhole } = accountOf({ ...journal, lost: 'the stream broke off' }, hosts)
  assert.equal(isWhole, false)
  assert.match(summary, /memory was lost on its way from ada: the stream broke off/)
})
