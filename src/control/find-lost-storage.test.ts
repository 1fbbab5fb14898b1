import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeObservation, makeVm, sharedId } from '../model/cluster-state.fixture.ts'
import { leaseProofAfterMs } from '../model/protection/bounds.ts'
import { defaultTimings } from '../model/timings.ts'
import { findLostStorage } from './find-lost-storage.ts'

const patienceMs = leaseProofAfterMs(defaultTimings)

/** The machine is on the first host; each host with how long it has not read its slot. */
function find(unreadMs: readonly number[]) {
  const names = ['ada', 'bob', 'cyd', 'dan'].slice(0, unreadMs.length)
  const vm = makeVm('web', { on: 'ada' })
  const cluster = makeCluster({ hosts: names.map((name) => makeHost(name)), vms: [vm] })
  const observations = new Map(
    names.map((name, index) => [
      hostIdOf(name),
      makeObservation({ unreadMs: new Map([[sharedId, unreadMs[index] ?? 0]]) }),
    ]),
  )
  return findLostStorage(cluster, vm, observations)
}

test('a storage is lost to a host that has not read it for as long as a silent host is waited for, while others read it', () => {
  assert.equal(find([patienceMs - 1, 100, 100]), undefined)
  assert.deepEqual(find([patienceMs, 100, 100])?.unreadBy, [hostIdOf('ada')])
  assert.deepEqual(find([patienceMs, defaultTimings.leaseMs, 100, 100])?.unreadBy, [hostIdOf('ada'), hostIdOf('bob')])
})

test('one that most hosts have lost is lost itself: nobody is moved', () => {
  assert.equal(find([patienceMs, patienceMs, 100]), undefined)
  assert.equal(find([patienceMs]), undefined)
  assert.notEqual(find([patienceMs, 100]), undefined)
})
