/** What the reserve promises, whatever the cluster looks like. fast-check prints the seed of a failure. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeVm,
  sessionIdOf,
  someTime,
  vmIdOf,
} from '../../model/cluster-state.fixture.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId } from '../../model/ids.ts'
import type { PlacementRule } from '../../model/placement-rules.ts'
import { decideVm } from '../decide-vm.ts'
import { placeVm } from '../place-vm.ts'
import { calm } from '../vm-question.fixture.ts'
import { judgeReserve, refuseByReserve } from './judge-reserve.ts'
import { byRecoveryOrder, moveVm } from './simulate-loss.ts'

const hostNames = ['ada', 'bob', 'cyd', 'dan', 'eve'] as const
const label = { key: 'app', value: 'web' }
const apart: PlacementRule = { kind: 'apart-from-machines', label, strength: 'required' }
const north: PlacementRule = {
  kind: 'on-hosts',
  hosts: { label: { key: 'zone', value: 'north' } },
  strength: 'required',
}

const anyHost = fc.record({ memoryMiB: fc.integer({ min: 400, max: 4_000 }), isNorth: fc.boolean() })
const anyWish = fc.record({
  memoryMiB: fc.integer({ min: 64, max: 1_500 }),
  ha: fc.boolean(),
  startOrder: fc.integer({ min: 1, max: 3 }),
  isWeb: fc.boolean(),
  rule: fc.constantFrom(undefined, apart, north),
  /** Which host would take it over, counted from its own. */
  standbyAt: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
})
const anyCloud = fc.record({
  hosts: fc.array(anyHost, { minLength: 2, maxLength: 5 }),
  wishes: fc.array(anyWish, { maxLength: 12 }),
  failures: fc.integer({ min: 1, max: 2 }),
})
type Cloud = typeof anyCloud extends fc.Arbitrary<infer T> ? T : never

/** Machines are asked for one after the other, and those that are accepted are placed. */
function fill({ hosts, wishes, failures }: Cloud): ClusterState {
  let cluster = makeCluster({
    hostFailuresToTolerate: failures,
    hosts: hosts.map(({ memoryMiB, isNorth }, index) =>
      makeHost(hostNames[index] ?? '', {
        spec: { labels: { zone: isNorth ? 'north' : 'south' } },
        status: { memoryMiB, cpus: 64 },
      }),
    ),
  })
  for (const [index, { memoryMiB, ha, startOrder, isWeb, rule, standbyAt }] of wishes.entries()) {
    const placementRules = {
      labels: isWeb ? { app: 'web' } : {},
      rules: rule === undefined ? [] : [rule],
      spread: null,
    }
    const vm = makeVm(`vm${index}`, { spec: { memoryMiB, ha, startOrder, placementRules } })
    const choice = placeVm(cluster, vm.spec)
    if (choice.kind === 'no-host-fits' || refuseByReserve(cluster, { vm, hostId: choice.hostId }) !== undefined)
      continue
    cluster = guarded(moveVm(cluster, vm, choice.hostId), vm, standbyAt)
  }
  return cluster
}

/** With a standby, where there is room for one and it leaves the reserve whole. */
function guarded(cluster: ClusterState, { spec }: VmRecord, standbyAt: number | undefined): ClusterState {
  const vm = cluster.vms.get(vmIdOf(spec.name))
  const at = hostNames.findIndex((name) => hostIdOf(name) === vm?.placement?.hostId)
  const name = standbyAt === undefined ? undefined : hostNames[(at + standbyAt) % cluster.hosts.size]
  if (vm === undefined || name === undefined || hostIdOf(name) === vm.placement?.hostId || !spec.ha) return cluster
  const excluded = new Map([[vm.placement?.hostId ?? hostIdOf(''), 'it runs there']])
  const choice = placeVm(cluster, spec, { required: hostIdOf(name), excluded, takesOver: true })
  if (choice.kind === 'no-host-fits') return cluster
  const base = { imageId: imageIdOf('one'), chosenAt: someTime, reason: '' }
  const standby = { ...base, hostId: hostIdOf(name), session: sessionIdOf(name) }
  const withStandby = { ...cluster, vms: new Map(cluster.vms).set(spec.id, { ...vm, standby }) }
  return judgeReserve(withStandby).kind === 'kept' ? withStandby : cluster
}

/** The recovery as the engine does it: every machine of a lost host is decided about, in its order, until nothing moves any more. */
function recover(cluster: ClusterState, lost: readonly HostId[]): ClusterState {
  const hosts = new Map(cluster.hosts)
  for (const hostId of lost) {
    const host = hosts.get(hostId)
    if (host === undefined) continue
    const { id, name } = host.spec
    const proof = {
      kind: 'power',
      hostId: id,
      hostName: name,
      provedAt: someTime,
      fenceAgent: 'fence_virsh',
      tookMs: 1,
    } as const
    hosts.set(hostId, { ...host, status: { ...host.status, state: 'fenced', proof } })
  }
  let present: ClusterState = { ...cluster, hosts }
  for (let round = 0; round < 3; round += 1) {
    const waiting = [...present.vms.values()].filter(({ placement }) =>
      lost.includes(placement?.hostId ?? hostIdOf('')),
    )
    for (const vm of waiting.sort(byRecoveryOrder)) {
      const decision = decideVm(present, vm, {
        ...calm,
        hostHasReported: false,
        startOrder: 'accepted',
        startOrderDue: vm.spec.startOrder,
        epochFloor: 0,
      })
      if (decision.kind === 'place') present = moveVm(present, vm, decision.hostId)
    }
  }
  return present
}

/** Every set of one to so many of them. */
function subsets(hostIds: readonly HostId[], most: number): HostId[][] {
  const all: HostId[][] = [[]]
  for (const id of hostIds) all.push(...all.map((set) => [...set, id]))
  return all.filter(({ length }) => length > 0 && length <= most)
}

test('when admission accepted everything, the loss of any so many hosts places every machine with HA', () => {
  let accepted = 0
  fc.assert(
    fc.property(anyCloud, (cloud) => {
      const cluster = fill(cloud)
      for (const lost of subsets([...cluster.hosts.keys()], cloud.failures)) {
        const after = recover(cluster, lost)
        for (const { spec, placement } of after.vms.values()) {
          const isLost = lost.includes(placement?.hostId ?? hostIdOf(''))
          assert.ok(!spec.ha || !isLost, `${spec.name} has no place after the loss of ${lost.join()}`)
          accepted += spec.ha ? 1 : 0
        }
        refuseOverfull(after)
      }
    }),
    { numRuns: 200 },
  )
  assert.ok(accepted > 500, 'the clouds are not all empty')
})

/** Counted here, not by the function that placed them. */
function refuseOverfull({ hosts, vms }: ClusterState): void {
  for (const { spec: host, status } of hosts.values()) {
    const there = [...vms.values()].filter(({ placement }) => placement?.hostId === host.id)
    const sumMiB = there.reduce((sum, { spec }) => sum + spec.memoryMiB + 48, 0)
    assert.ok(sumMiB <= status.memoryMiB, `${host.name} is overfull`)
  }
}

test('what is refused would really have left a machine without a place', () => {
  fc.assert(
    fc.property(anyCloud, anyWish, (cloud, { memoryMiB, ha }) => {
      const cluster = fill({ ...cloud, wishes: cloud.wishes.map((wish) => ({ ...wish, standbyAt: undefined })) })
      const vm = makeVm('last', { spec: { memoryMiB, ha } })
      const choice = placeVm(cluster, vm.spec)
      if (choice.kind === 'no-host-fits') return
      if (refuseByReserve(cluster, { vm, hostId: choice.hostId }) === undefined) return
      const grown = moveVm(cluster, vm, choice.hostId)
      const isLeftOver = subsets([...cluster.hosts.keys()], cloud.failures).some((lost) =>
        [...recover(grown, lost).vms.values()].some(
          ({ spec, placement }) => spec.ha && lost.includes(placement?.hostId ?? hostIdOf('')),
        ),
      )
      assert.ok(isLeftOver)
    }),
    { numRuns: 100 },
  )
})
