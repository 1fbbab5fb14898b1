import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeReport, makeVm } from '../model/cluster-state.fixture.ts'
import type { MachineReport } from '../model/vm.ts'
import { decideVm } from './decide-vm.ts'
import { deriveStatus } from './derive-status.ts'
import { nextEpoch } from './next-epoch.ts'
import type { RebuiltFacts } from './vm-decision.ts'
import { calm } from './vm-question.fixture.ts'

const [ada, bob] = ['ada', 'bob'].map(hostIdOf)
const awaits = [ada, bob].flatMap((hostId) => hostId ?? [])
const rebuilt = { upToEpoch: 7, ownedEpoch: 6, awaits }
const spec = { desired: 'stopped', rebuilt } as const
const life = (name: string, changes: Partial<MachineReport> = {}) => ({
  hostId: hostIdOf(name),
  hostName: name,
  report: makeReport('web', { epoch: 6, ...changes }),
})

function decide(facts: Partial<RebuiltFacts>, changes = {}) {
  const vm = makeVm('web', { on: 'ada', spec: { ...spec, ...changes } })
  const cluster = makeCluster({ hosts: [makeHost('ada'), makeHost('bob')], vms: [vm] })
  return decideVm(cluster, vm, { ...calm, rebuilt: { lives: [], unheard: [], ...facts } })
}

test('a life at work under the newest claim is adopted at once, and is wanted as it is', () => {
  const running = decide({ lives: [life('bob')], unheard: ['ada'] })
  assert.deepEqual(running, {
    ...{ kind: 'adopt', hostId: bob, epoch: 6, leased: true, disks: [], desired: 'running' },
    reason: 'it is running there under epoch 6, as bob says',
  })
  const paused = decide({ lives: [life('bob', { phase: 'paused' })] })
  assert.ok(paused.kind === 'adopt' && paused.desired === 'paused')
})

test('nothing else is decided before every host that may run it has told', () => {
  for (const lives of [
    [],
    [life('bob', { phase: 'frozen' })],
    [life('bob', { phase: 'stopped' })],
    [life('bob', { phase: 'starting' })],
    [life('bob', { isHandedOver: true, phase: 'frozen' })],
    // Somebody has claimed it after this one.
    [life('bob', { epoch: 5 })],
    [life('bob', { isArriving: true })],
  ]) {
    const decision = decide({ lives, unheard: ['ada'] })
    assert.ok(decision.kind === 'wait')
    assert.match(decision.reason, /ada may run it .* dialtone host confirm-dead ada$/)
  }
  // Whoever wants it started waits as well.
  assert.equal(decide({ unheard: ['ada'] }, { desired: 'running' }).kind, 'wait')
})

test('once all have told, the newest life is the machine; what had ended is not started', () => {
  const desiredOf = (changes: Partial<MachineReport>) => {
    const decision = decide({ lives: [life('bob', changes)] })
    return decision.kind === 'adopt' ? decision.desired : decision.kind
  }
  assert.equal(desiredOf({ phase: 'frozen' }), 'running')
  assert.equal(desiredOf({ phase: 'restarting' }), 'running')
  assert.equal(desiredOf({ phase: 'failed' }), 'stopped')
  assert.equal(desiredOf({ phase: 'stopped' }), 'stopped')
  assert.equal(desiredOf({ phase: 'starting' }), 'stopped')
  assert.equal(desiredOf({ phase: 'frozen', isHandedOver: true }), 'stopped')
  assert.equal(desiredOf({ epoch: 5 }), 'running')
  const both = decide({ lives: [life('ada', { phase: 'frozen', epoch: 5 }), life('bob', { phase: 'frozen' })] })
  assert.ok(both.kind === 'adopt' && both.hostId === bob)
})

test('one that nobody has, or that only came to run there and never did, runs nowhere', () => {
  assert.equal(decide({}).kind, 'settle-rebuilt')
  assert.equal(decide({ lives: [life('bob', { isArriving: true, epoch: 7 })] }).kind, 'settle-rebuilt')
})

test('what its owner has wished for meanwhile stays the wish', () => {
  const decision = decide({ lives: [life('bob', { phase: 'failed' })] }, { desired: 'running' })
  assert.ok(decision.kind === 'adopt' && decision.desired === 'running')
})

test('until then it is unknown; afterwards it is a VM like any other, with epochs above all that were given out', () => {
  const facts = {
    host: undefined,
    report: undefined,
    hostHasReported: true,
    waitReason: 'waits',
    waitsForItsTurn: false,
  }
  const unsettled = makeVm('web', { spec })
  assert.equal(deriveStatus(unsettled, facts)?.state, 'unknown')
  const settled = makeVm('web', { spec: { ...spec, rebuilt: { ...rebuilt, awaits: [] } } })
  assert.equal(deriveStatus(settled, facts)?.state, 'stopped')
  assert.equal(nextEpoch(settled), 8)
  assert.equal(decideVm(makeCluster({ vms: [settled] }), settled, calm).kind, 'settled')
})
