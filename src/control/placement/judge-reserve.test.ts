import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, makeCluster, makeHost, makeVm } from '../../model/cluster-state.fixture.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { judgeReserve, refuseByReserve } from './judge-reserve.ts'

/** Each takes 1000 MiB with its overhead; hosts have 2000. */
const big = (name: string, on?: string, isHa = true) =>
  makeVm(name, { spec: { memoryMiB: 952, ha: isHa }, ...(on === undefined ? {} : { on }) })
const cloud = (vms: readonly VmRecord[], hostFailuresToTolerate = 1, names = ['ada', 'bob', 'cyd']) =>
  makeCluster({
    hosts: names.map((name) => makeHost(name, { status: { memoryMiB: 2000 } })),
    vms,
    hostFailuresToTolerate,
  })
const refusal = (vms: readonly VmRecord[], failures = 1, isHa = true) =>
  refuseByReserve(cloud(vms, failures), { vm: big('new', undefined, isHa), hostId: hostIdOf('cyd') })

describe('a reserve for one host', () => {
  const half = [big('one', 'ada'), big('two', 'bob'), big('three', 'ada')]

  test('lets pass what leaves room', () => assert.equal(refusal(half), undefined))

  test('refuses what would leave a machine without a place, and says after which failure, and why', () => {
    const full = [...half, big('four', 'bob')]
    assert.match(
      refusal(full) ?? '',
      /^the reserve for the failure of 1 host would be broken: if ada died, no host would take three \(bob: needs 1000 MiB .*; cyd: needs/,
    )
  })

  test('counts machines without HA where they take room, and not where they die', () => {
    const full = [...half, big('four', 'bob')]
    assert.match(refusal(full, 1, false) ?? '', /would be broken/)
    const guests = [big('one', 'ada', false), big('two', 'ada', false), big('three', 'bob', false), big('four', 'bob')]
    assert.equal(refusal(guests, 1, false), undefined)
  })

  test('counts machines that are being made', () => {
    const made = { ...big('five').spec, lifecycle: 'creating' as const }
    assert.match(refusal([...half, { ...big('five'), spec: made }]) ?? '', /would be broken/)
  })

  test('says when it is not whole already', () => {
    const over = [...half, big('four', 'bob'), big('five', 'cyd')]
    assert.match(refusal(over) ?? '', /is not whole already/)
    assert.equal(judgeReserve(cloud(over)).kind, 'broken')
  })
})

test('without a wish for it there is none', () => {
  assert.equal(refusal([big('one', 'ada'), big('two', 'ada'), big('three', 'bob'), big('four', 'bob')], 0), undefined)
})

test('two hosts at once need more room than one', () => {
  const vms = [big('one', 'ada'), big('two', 'bob'), big('three', 'cyd')]
  assert.equal(judgeReserve(cloud(vms, 1)).kind, 'kept')
  const verdict = judgeReserve(cloud(vms, 2))
  assert.match(
    verdict.kind === 'broken' ? verdict.reason : '',
    /^if ada and bob died, no host would take \w+ \(cyd: needs/,
  )
})

test('a host that is down already cannot fail once more', () => {
  const cluster = cloud([big('one', 'ada')], 1, ['ada', 'bob'])
  assert.equal(judgeReserve(cluster).kind, 'kept')
  const fenced = makeHost('bob', { status: { state: 'fenced' } })
  const verdict = judgeReserve({ ...cluster, hosts: new Map(cluster.hosts).set(fenced.spec.id, fenced) })
  assert.match(verdict.kind === 'broken' ? verdict.reason : '', /if ada died/)
})
