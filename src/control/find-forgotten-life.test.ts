import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeReport,
  makeStorage,
  makeVm,
  storageIdOf,
  volumeIdOf,
} from '../model/cluster-state.fixture.ts'
import { decideVm } from './decide-vm.ts'
import type { ClaimedDisks, VmQuestion } from './vm-decision.ts'
import { calm } from './vm-question.fixture.ts'

const volumeId = volumeIdOf('web')
const claimOn = (name: string, epoch: number): ClaimedDisks => ({
  hostId: hostIdOf(name),
  epoch,
  disks: [{ volumeId, storageId: storageIdOf(name) }],
})

/** The store has it on ada under epoch 5, with its only disk. */
function decide(question: Partial<VmQuestion>) {
  const disks = [{ volumeId, storageId: storageIdOf('ada'), format: 'qcow2' as const, sizeMiB: 100 }]
  const vm = makeVm('web', { on: 'ada', spec: { ha: false, boundToHostId: hostIdOf('ada'), disks } })
  const names = ['ada', 'bob', 'eve']
  const storages = names.map((name) => makeStorage(name, { name: 'local', shared: false, hostId: hostIdOf(name) }))
  const cluster = makeCluster({ hosts: names.map((name) => makeHost(name)), vms: [vm], storages })
  return decideVm(cluster, vm, { ...calm, epochFloor: 9, ...question })
}

describe('over a store that went back, a machine of which nothing lives', () => {
  test('starts under a new epoch where its disks were claimed last', () => {
    const decision = decide({ claims: [claimOn('ada', 5), claimOn('eve', 7), claimOn('bob', 6)] })
    assert.ok(decision.kind === 'adopt')
    assert.deepEqual([decision.hostId, decision.epoch, decision.disks], [hostIdOf('eve'), 9, claimOn('eve', 7).disks])
  })

  test('waits until every host has told', () => {
    const decision = decide({ claims: [claimOn('bob', 6)], startsOnHold: 'eve has not reported' })
    assert.deepEqual(decision, { kind: 'wait', reason: 'eve has not reported' })
  })

  test('stays where the store has it when no claim is newer, or its newest disks are there', () => {
    assert.notEqual(decide({ claims: [claimOn('bob', 5)] }).kind, 'adopt')
    assert.notEqual(decide({ claims: [claimOn('ada', 7), claimOn('bob', 6)] }).kind, 'adopt')
  })
})

test('a claim says nothing about a machine that lives', () => {
  const claims = [claimOn('bob', 6)]
  assert.equal(decide({ claims, report: makeReport('web', { phase: 'running', epoch: 5 }) }).kind, 'settled')
  assert.equal(decide({ claims, strays: [{ hostId: hostIdOf('eve'), epoch: 4 }] }).kind, 'release')
})
