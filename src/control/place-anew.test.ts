/** How a machine is brought back, and where: from memory where its owner wants that, from its disk otherwise. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type HostChanges,
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeReadiness,
  makeReport,
  makeVm,
  sessionIdOf,
  sharedId,
  someTime,
  type VmChanges,
  volumeIdOf,
} from '../model/cluster-state.fixture.ts'
import type { Proof } from '../model/proof.ts'
import { configurationOf, type MachineReport } from '../model/vm.ts'
import { decideVm } from './decide-vm.ts'
import type { VmQuestion } from './vm-decision.ts'
import { calm } from './vm-question.fixture.ts'

const base = { hostId: hostIdOf('ada'), hostName: 'ada', provedAt: someTime }
const power: Proof = { kind: 'power', ...base, fenceAgent: 'fence_virsh', tookMs: 10 }
const released: Proof = { kind: 'released', ...base, session: sessionIdOf('ada'), upToEpoch: 5 }
const standby = {
  hostId: hostIdOf('cyd'),
  session: sessionIdOf('cyd'),
  imageId: imageIdOf('one'),
  chosenAt: someTime,
  reason: '',
}
const dead: HostChanges = { status: { state: 'fenced', proof: power } }
const full: HostChanges = { status: { memoryMiB: 100 } }

/** A warm machine on ada under epoch 5, with its standby on cyd; bob fits as well. */
function decide(wish: {
  readonly vm?: VmChanges
  readonly hosts?: Readonly<Record<string, HostChanges>>
  readonly question?: Partial<VmQuestion>
}) {
  const vm = makeVm('web', { on: 'ada', standby, ...wish.vm, spec: { recovery: { mode: 'warm' }, ...wish.vm?.spec } })
  const hosts = ['ada', 'bob', 'cyd'].map((name) => makeHost(name, wish.hosts?.[name]))
  return decideVm(makeCluster({ hosts, vms: [vm] }), vm, { ...calm, ...wish.question })
}
const inShort = (decision: ReturnType<typeof decide>) =>
  decision.kind === 'place'
    ? `${decision.start} on ${decision.hostId.slice(5, 8)}`
    : decision.kind === 'release'
      ? `release ${decision.hostId.slice(5, 8)}`
      : decision.kind
const failed = (changes: Partial<MachineReport> = {}) => makeReport('web', { phase: 'failed', ...changes })
const times = (count: number) => ({ count, lastAgoMs: 120_000 })

describe('a machine whose host is dead', () => {
  test('is resumed on the host that has its image already', () =>
    assert.equal(inShort(decide({ hosts: { ada: dead } })), 'resume on cyd'))

  test('is resumed on another one when that has no room or is gone', () => {
    assert.equal(inShort(decide({ hosts: { ada: dead, cyd: full } })), 'resume on bob')
    assert.equal(inShort(decide({ hosts: { ada: dead, cyd: { status: { state: 'suspect' } } } })), 'resume on bob')
  })

  test('waits, and says why, when none has room', () => {
    const decision = decide({ hosts: { ada: dead, bob: full, cyd: full } })
    assert.match(decision.kind === 'wait' ? decision.reason : '', /no host fits: .*bob: needs 304 MiB/)
  })

  test('boots when its owner declared no loss, and after two failed resumes', () => {
    assert.equal(inShort(decide({ hosts: { ada: dead }, vm: { spec: { recovery: { mode: 'boot' } } } })), 'boot on cyd')
    assert.equal(inShort(decide({ hosts: { ada: dead }, question: { failures: times(1) } })), 'resume on cyd')
    assert.equal(inShort(decide({ hosts: { ada: dead }, question: { failures: times(2) } })), 'boot on cyd')
  })
})

describe('a start that its owner asked for', () => {
  test('is, for the first time, on the host that was named, as long as it fits there', () => {
    for (const name of ['ada', 'bob', 'cyd']) {
      const hosts = ['ada', 'bob', 'cyd'].map((each) => makeHost(each))
      const vm = makeVm('web', { spec: { firstHostId: hostIdOf(name) } })
      const decision = decideVm(makeCluster({ hosts, vms: [vm] }), vm, calm)
      assert.equal(decision.kind === 'place' && decision.hostId, hostIdOf(name))
      const others = hosts.map((host) => (host.spec.name === name ? makeHost(name, full) : host))
      const elsewhere = decideVm(makeCluster({ hosts: others, vms: [vm] }), vm, calm)
      assert.notEqual(elsewhere.kind === 'place' && elsewhere.hostId, hostIdOf(name))
    }
  })

  test('boots from the disk as it is', () => {
    const question = { report: makeReport('web', { phase: 'stopped' }) }
    assert.equal(inShort(decide({ question, vm: { status: { state: 'stopped' } } })), 'boot on ada')
    const never = makeVm('new', { spec: { recovery: { mode: 'warm' } } })
    const decision = decideVm(makeCluster({ hosts: [makeHost('ada')], vms: [never] }), never, calm)
    assert.equal(decision.kind === 'place' && decision.start, 'boot')
  })

  test('of a clone never boots, however often it fails, until it has become a machine of its own', () => {
    const clonedFrom = { imageId: imageIdOf('one'), volumeId: volumeIdOf('src'), storageId: sharedId }
    for (const count of [0, 1, 2, 9]) {
      const question = { report: failed(), failures: times(count), released }
      assert.match(inShort(decide({ question, vm: { spec: { clonedFrom } } })), /^clone on/)
    }
    assert.equal(inShort(decide({ hosts: { ada: dead }, vm: { spec: { clonedFrom } } })), 'clone on cyd')
  })
})

describe('a machine whose ladder asks for another host', () => {
  const wants = { report: failed({ wantsOtherHost: true }), failures: times(1) }

  test('is released first, and resumed on its standby after that', () => {
    assert.equal(inShort(decide({ question: wants })), 'release ada')
    assert.equal(inShort(decide({ question: { ...wants, released } })), 'resume on cyd')
  })

  test('goes there also when its host has already forgotten it, or calls it stopped', () => {
    const question = { failures: times(1), released, startOrder: 'accepted' } as const
    assert.equal(inShort(decide({ question })), 'resume on cyd')
    const stopped = makeReport('web', { phase: 'stopped' })
    assert.equal(inShort(decide({ question: { ...question, report: stopped } })), 'resume on cyd')
  })

  test('is tried again where it is when no other host has room', () => {
    const hosts = { bob: full, cyd: full }
    assert.equal(inShort(decide({ hosts, question: wants })), 'resume on ada')
    assert.equal(inShort(decide({ hosts, question: { failures: times(1), released } })), 'resume on ada')
  })

  test('stays without HA', () =>
    assert.equal(inShort(decide({ question: wants, vm: { spec: { ha: false } } })), 'resume on ada'))
})

describe('what its owner changes while it runs', () => {
  const told = (configuration: string) => ({
    report: makeReport('web', { recovery: { ...makeReadiness(), configuration } }),
  })
  const wished = configurationOf(makeVm('web', { spec: { recovery: { mode: 'warm' } } }).spec)

  test('is told to its agent until that reports it', () => {
    assert.equal(decide({ question: told('another') }).kind, 'configure')
    assert.equal(decide({ question: told(wished) }).kind, 'settled')
  })

  test('waits while it is paused', () => {
    const report = { ...told('another').report, phase: 'paused' } as const
    assert.equal(decide({ question: { report }, vm: { spec: { desired: 'paused' } } }).kind, 'settled')
  })
})
