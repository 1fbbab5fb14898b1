import assert from 'node:assert/strict'
import { test } from 'node:test'
import { outagesToCsv } from './ledger-csv.ts'
import { type Outage, outageSchema } from './outage.ts'

const outage: Outage = outageSchema.parse({
  id: 'out-aaaaaaaa-mf3k2j1a',
  service: 'vm-aaaaaaaa',
  serviceName: 'web',
  cause: 'process-died',
  causeDetail: 'it ended',
  beganAt: '2026-03-01T12:00:01.000Z',
  beganBetween: [null, '2026-03-01T12:00:01.013Z'],
  endedBetween: null,
  endedBy: null,
  durationMs: null,
  durationAtLeastMs: null,
  durationAtMostMs: null,
  parts: { detectMs: 13, decideMs: 1, fenceMs: null, startMs: null, serveMs: null },
  attempts: [{ rung: 'boot', beganAt: '2026-03-01T12:00:01.014Z', isCured: false, tookMs: 9, detail: '' }],
  drillId: null,
  planned: false,
})

test('a heading, then one line an outage; what is not known is an empty field', () => {
  const [heading = '', line = '', ...rest] = outagesToCsv([outage]).split('\r\n')
  assert.deepEqual(rest, [''])
  const fields = Object.fromEntries(heading.split(',').map((name, index) => [name, line.split(',')[index]]))
  assert.deepEqual(
    [fields['cause'], fields['detect_ms'], fields['fence_ms'], fields['duration_ms'], fields['attempts']],
    ['process-died', '13', '', '', 'boot:failed'],
  )
})

test('commas, quotes and line breaks of others stay within their field', () => {
  const text = outagesToCsv([{ ...outage, causeDetail: 'said "no",\nthen died' }])
  assert.match(text, /,"said ""no"",\nthen died",/)
})

test('a detail that begins like a formula is not carried out by a spreadsheet', () => {
  assert.match(outagesToCsv([{ ...outage, causeDetail: '=1+1' }]), /,'=1\+1,/)
})
