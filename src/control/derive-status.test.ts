import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type HostChanges,
  hostIdOf,
  makeHost,
  makeReport,
  makeVm,
  sharedId,
  someTime,
  storageIdOf,
  type VmChanges,
} from '../model/cluster-state.fixture.ts'
import type { Proof } from '../model/proof.ts'
import { deriveStatus, type StatusFacts } from './derive-status.ts'

const derive = (vm: VmChanges, facts: Partial<StatusFacts> = {}, host: HostChanges = {}) =>
  deriveStatus(makeVm('web', vm), {
    host: makeHost('ada', host),
    report: undefined,
    hostHasReported: true,
    waitReason: undefined,
    waitsForItsTurn: false,
    ...facts,
  })
const state = (...given: Parameters<typeof derive>) => derive(...given)?.state
const stopped = { desired: 'stopped' } as const

test('a VM that no host has is stopped, or waits with its reason', () => {
  assert.equal(state({ spec: stopped }), 'stopped')
  assert.deepEqual([state({}), derive({}, { waitReason: 'no room' })?.detail], ['waiting', 'no room'])
  assert.equal(state({ spec: { lifecycle: 'creating' } }), 'creating')
})

test('on a host that answers it is what its host reports of its epoch', () => {
  for (const phase of [
    'starting',
    'running',
    'paused',
    'frozen',
    'stopping',
    'restarting',
    'failed',
    'stopped',
  ] as const)
    assert.equal(state({ on: 'ada' }, { report: makeReport('web', { phase }) }), phase)
  assert.equal(state({ on: 'ada' }), 'starting')
  assert.equal(state({ on: 'ada' }, { waitReason: 'later' }), 'waiting')
  assert.equal(state({ on: 'ada', spec: stopped }), 'stopped')
  assert.equal(state({ on: 'ada', spec: stopped }, { report: makeReport('web', { phase: 'failed' }) }), 'stopped')
})

test('nothing is said before the host has reported, nor of a guest’s shutdown that is yet to be accepted', () => {
  assert.equal(derive({ on: 'ada' }, { hostHasReported: false }), undefined)
  assert.equal(
    derive({ on: 'ada', status: {} }, { report: makeReport('web', { phase: 'stopped', guestShutdown: true }) }),
    undefined,
  )
})

test('a machine that runs under another epoch is not called stopped', () => {
  assert.notEqual(state({ on: 'ada', spec: stopped }, { report: makeReport('web', { epoch: 4 }) }), 'stopped')
})

test('one that failed under an older epoch is gone: its new start is what people are told', () => {
  assert.equal(state({ on: 'ada' }, { report: makeReport('web', { phase: 'failed', epoch: 1 }) }), 'starting')
  assert.equal(state({ on: 'ada' }, { report: makeReport('web', { phase: 'running', epoch: 1 }) }), 'unknown')
})

test('one that has stopped, and is to run, says why it does not yet', () => {
  const report = makeReport('web', { phase: 'stopped', detail: 'the guest powered itself off', guestShutdown: true })
  const waiting = derive({ on: 'ada', status: { state: 'stopped' } }, { report, waitReason: 'no host fits' })
  assert.deepEqual([waiting?.state, waiting?.detail], ['stopped', 'no host fits'])
})

test('why it failed and when it is tried again are one sentence', () => {
  const report = makeReport('web', { phase: 'failed', detail: 'Look at its log.' })
  assert.equal(
    derive({ on: 'ada' }, { report, waitReason: 'tries again 1 s later' })?.detail,
    'Look at its log; tries again 1 s later',
  )
})

test('on a silent host it is unknown until a proof reaches it; then it is lost', () => {
  const base = { hostId: hostIdOf('ada'), hostName: 'ada', provedAt: someTime }
  const pills = [{ storageId: sharedId, generation: 1, stoodMs: 1 }]
  const proof: Proof = { kind: 'lease', ...base, armed: 'soft', silentMs: 1, leaseBoundMs: 1, pills }
  assert.equal(state({ on: 'ada' }, {}, { status: { state: 'suspect' } }), 'unknown')
  assert.equal(state({ on: 'ada' }, {}, { status: { state: 'fenced', proof } }), 'lost')
  const soon = { waitReason: 'waits for machines of start order 1', waitsForItsTurn: true }
  assert.equal(state({ on: 'ada' }, soon, { status: { state: 'fenced', proof } }), 'waiting')
  assert.equal(state({ on: 'ada', spec: { ha: false } }, {}, { status: { state: 'fenced', proof } }), 'unknown')
  assert.equal(state({ on: 'ada', spec: stopped }, {}, { status: { state: 'suspect' } }), 'unknown')
  assert.equal(
    state({ on: 'ada', spec: stopped, status: { state: 'stopped' } }, {}, { status: { state: 'suspect' } }),
    'stopped',
  )
  assert.equal(state({ on: 'ada', storage: storageIdOf('other') }, { host: undefined }), 'unknown')
})
