import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Inventory } from '../agent-protocol/agent-contract.ts'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeReport,
  makeVm,
  sessionIdOf,
  sharedId,
  vmIdOf,
  volumeIdOf,
} from '../cluster-state.fixture.ts'
import type { ClusterState } from '../cluster-state.ts'
import { examineCloud, invariants } from './examine-cloud.ts'

const inventoryOf = (
  host: string,
  vms: readonly string[],
  changes: Partial<Inventory> = {},
): readonly [ReturnType<typeof hostIdOf>, Inventory] => [
  hostIdOf(host),
  {
    hostId: hostIdOf(host),
    session: sessionIdOf(host),
    machines: vms.map((name) => makeReport(name)),
    populatedMachineCgroups: vms.map((name) => ({ name: vmIdOf(name), pids: [42] })),
    runDirectories: [],
    taps: vms.map((name, index) => ({ tapName: `dt${index + 1}`, vmId: vmIdOf(name) })),
    volumes: ['web', 'app'].map((name) => ({ storageId: sharedId, volumeId: volumeIdOf(name) })),
    storages: [{ storageId: sharedId, totalMiB: 100, freeMiB: 50, error: null }],
    ...changes,
  },
]
const hosts = [makeHost('ada'), makeHost('bob')]
const web = makeVm('web', { on: 'ada', status: {} })
const app = makeVm('app', { on: 'bob', status: {} })
const healthy = makeCluster({ hosts, vms: [web, app] })
const real = [inventoryOf('ada', ['web']), inventoryOf('bob', ['app'])]
const found = (cluster: ClusterState, inventories = real) =>
  examineCloud({ cluster, inventories: new Map(inventories) }).map(
    ({ invariant, subject }) => `${invariant}: ${subject}`,
  )

test('nothing is found in a healthy cloud', () => assert.deepEqual(found(healthy), []))

test('nothing is concluded from hosts that did not answer', () => assert.deepEqual(found(healthy, []), []))

test('a VM with processes on two hosts is found, as is the one that nobody ordered', () => {
  const findings = found(healthy, [inventoryOf('ada', ['web']), inventoryOf('bob', ['app', 'web'])])
  assert.deepEqual(findings, ['one-writer-per-volume: web', 'nothing-unordered-runs: web'])
})

test('a VM that is said to run where nothing of it is', () => {
  assert.deepEqual(found(healthy, [inventoryOf('ada', []), inventoryOf('bob', ['app'])]), [
    'placement-matches-reality: web',
  ])
})

test('a machine that no VM knows', () => {
  const findings = found(healthy, [inventoryOf('ada', ['web', 'ghost']), inventoryOf('bob', ['app'])])
  assert.deepEqual(findings, [`nothing-unordered-runs: ${vmIdOf('ghost')}`])
})

test('a tap of no machine', () => {
  const taps = [{ tapName: 'dt9', vmId: null }]
  assert.deepEqual(found(healthy, [inventoryOf('ada', ['web'], { taps }), inventoryOf('bob', ['app'])]), [
    'no-orphan-taps: dt9',
  ])
})

test('a volume of no VM, named once however many hosts see it', () => {
  const volumes = ['web', 'app', 'gone'].map((name) => ({ storageId: sharedId, volumeId: volumeIdOf(name) }))
  const findings = found(healthy, [inventoryOf('ada', ['web'], { volumes }), inventoryOf('bob', ['app'], { volumes })])
  assert.deepEqual(findings, [`no-orphan-volumes: ${volumeIdOf('gone')}`])
})

test('a volume that is not on its storage; a storage that can’t be read says nothing', () => {
  const blind = { volumes: [], storages: [{ storageId: sharedId, totalMiB: 0, freeMiB: 0, error: 'no' }] }
  const empty = { volumes: [{ storageId: sharedId, volumeId: volumeIdOf('app') }] }
  assert.deepEqual(found(healthy, [inventoryOf('ada', ['web'], empty), inventoryOf('bob', ['app'], empty)]), [
    'no-missing-volumes: web',
  ])
  assert.deepEqual(found(healthy, [inventoryOf('ada', ['web'], blind), inventoryOf('bob', ['app'], blind)]), [])
})

test('two VMs with one address, and so with one MAC', () => {
  const twin = { ...app, spec: { ...app.spec, address: web.spec.address } }
  assert.deepEqual(found(makeCluster({ hosts, vms: [web, twin] })), [`claims-are-unique: ${web.spec.address}`])
})

test('a host whose machines are promised more memory than it has', () => {
  const small = [makeHost('ada', { status: { memoryMiB: 255 } }), makeHost('bob')]
  assert.deepEqual(found(makeCluster({ hosts: small, vms: [web, app] })), ['capacity-never-exceeded: ada'])
})

test('a VM in the making that no task works on', () => {
  const creating = makeVm('new', { spec: { lifecycle: 'creating' } })
  assert.deepEqual(found(makeCluster({ hosts, vms: [web, app, creating] })), ['tasks-end: new'])
})

test('every invariant has a planted violation above', () => {
  assert.deepEqual(Object.keys(invariants).length, 9)
})
