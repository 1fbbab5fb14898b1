import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Inventory } from '../agent-protocol/agent-contract.ts'
import {
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeReport,
  makeVm,
  sessionIdOf,
  sharedId,
  someTime,
  storageIdOf,
  vmIdOf,
  volumeIdOf,
} from '../cluster-state.fixture.ts'
import type { ClusterState } from '../cluster-state.ts'
import { securityGroupIdSchema } from '../ids.ts'
import { examineCloud, invariants, type ServiceCourse } from './examine-cloud.ts'

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
    statistics: {},
    spares: [],
    images: [],
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
  examineCloud({ cluster, inventories: new Map(inventories), courses: [] }).map(
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

test('a volume of a VM where it does not belong; what a move or a deletion still works on is none', () => {
  const elsewhere = storageIdOf('other')
  const volumes = ['web', 'app'].map((name) => ({ storageId: sharedId, volumeId: volumeIdOf(name) }))
  const left = { storageId: elsewhere, volumeId: volumeIdOf('web') }
  const inventories = [
    inventoryOf('ada', ['web'], { volumes: [...volumes, left] }),
    inventoryOf('bob', ['app'], { volumes }),
  ]
  assert.deepEqual(found(healthy, inventories), [`no-orphan-volumes: ${volumeIdOf('web')}`])
  const discards = new Map([['web', { ...left, taskId: null, discardedAt: someTime, reason: 'a test' }]])
  assert.deepEqual(found({ ...healthy, discards }, inventories), [])
})

test('a volume that the store keeps of a VM that is no more', () => {
  const vms = new Map([...healthy.vms].filter(([, { spec }]) => spec.name !== 'app'))
  assert.deepEqual(found({ ...healthy, vms }, [inventoryOf('ada', ['web'], {})]), [
    `volumes-have-a-vm: ${volumeIdOf('app')}`,
  ])
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
  const down = { ...web, status: web.status && { ...web.status, state: 'stopped' as const } }
  assert.deepEqual(found(makeCluster({ hosts: small, vms: [down, app] })), [])
})

test('a VM in the making that no task works on', () => {
  const creating = makeVm('new', { spec: { lifecycle: 'creating' } })
  assert.deepEqual(found(makeCluster({ hosts, vms: [web, app, creating] })), ['tasks-end: new'])
})

const standby = (host: string) => ({
  hostId: hostIdOf(host),
  session: sessionIdOf(host),
  imageId: imageIdOf('one'),
  chosenAt: someTime,
  reason: '',
})
const spareOf = (name: string) => [{ vmId: vmIdOf(name), pids: [43] }]
const imageOf = (name: string) => [{ imageId: imageIdOf('one'), vmId: vmIdOf(name), usedMiB: 10 }]
const guarded = makeCluster({ hosts, vms: [{ ...web, standby: standby('bob') }, app] })

test('the process, the tap and the image that wait on another host to take a machine over are in order', () => {
  const taps = [
    { tapName: 'dt2', vmId: vmIdOf('app') },
    { tapName: 'dt1b', vmId: vmIdOf('web') },
  ]
  const waiting = { spares: spareOf('web'), images: imageOf('web'), taps }
  assert.deepEqual(found(guarded, [inventoryOf('ada', ['web']), inventoryOf('bob', ['app'], waiting)]), [])
  const beforeItsProcess = { ...waiting, spares: [] }
  assert.deepEqual(found(guarded, [inventoryOf('ada', ['web']), inventoryOf('bob', ['app'], beforeItsProcess)]), [])
  const ownSpare = { spares: spareOf('web'), images: imageOf('web') }
  assert.deepEqual(found(healthy, [inventoryOf('ada', ['web'], ownSpare), inventoryOf('bob', ['app'])]), [])
})

test('a process that waits where the machine neither runs nor is to be resumed, and its tap without it', () => {
  const spares = spareOf('web')
  assert.deepEqual(found(healthy, [inventoryOf('ada', ['web']), inventoryOf('bob', ['app'], { spares })]), [
    'spares-are-wanted: web',
  ])
  const stopped = makeCluster({ hosts, vms: [makeVm('web', { on: 'ada', status: { state: 'stopped' } }), app] })
  assert.deepEqual(found(stopped, [inventoryOf('ada', [], { spares }), inventoryOf('bob', ['app'])]), [
    'spares-are-wanted: web',
  ])
  const taps = [{ tapName: 'dt1b', vmId: vmIdOf('web') }]
  assert.deepEqual(found(healthy, [inventoryOf('ada', ['web']), inventoryOf('bob', ['app'], { taps })]), [
    'no-orphan-taps: dt1b',
  ])
})

test('a memory image of a VM that is no more; not one that clones or templates begin with, nor one of a machine that moved', () => {
  const where = (name: string) => [inventoryOf('ada', ['web']), inventoryOf('bob', ['app'], { images: imageOf(name) })]
  assert.deepEqual(found(healthy, where('gone')), [`images-are-wanted: ${imageIdOf('one')}`])
  assert.deepEqual(found(healthy, where('web')), [])
  const origin = { imageId: imageIdOf('one'), volumeId: volumeIdOf('gone'), storageId: sharedId }
  const cloning = makeCluster({ hosts, vms: [{ ...web, spec: { ...web.spec, clonedFrom: origin } }, app] })
  assert.deepEqual(found(cloning, where('gone')), [])
  const volumes = new Map([...healthy.volumes].map(([id, volume]) => [id, { ...volume, baseVersion: origin.imageId }]))
  assert.deepEqual(found({ ...healthy, volumes }, where('gone')), [])
  const warm = { ...origin, vmId: vmIdOf('gone'), cpus: 1, memoryMiB: 128 }
  const templates = new Map([...healthy.templates].map(([id, template]) => [id, { ...template, warm }]))
  assert.deepEqual(found({ ...healthy, templates }, where('gone')), [])
})

test('a service whose conditions leave a gap, or do not fill its time', () => {
  const course = (...edges: readonly (readonly [number, number])[]): ServiceCourse => ({
    name: 'web',
    fromMs: 1_000,
    untilMs: 5_000,
    intervals: edges.map(([fromMs, toMs]) => ({ fromMs, toMs, condition: 'up', drillId: null })),
  })
  const findings = (...edges: readonly (readonly [number, number])[]) =>
    examineCloud({ cluster: healthy, inventories: new Map(), courses: [course(...edges)] }).map(
      ({ invariant, message }) => `${invariant}: ${message}`,
    )
  assert.deepEqual(findings([1_000, 3_000], [3_000, 5_000]), [])
  assert.match(findings([1_000, 3_000])[0] ?? '', /ledger-adds-up: .*add up to 2000 ms of 4000 ms$/)
  assert.match(findings([1_000, 3_000], [3_500, 5_500])[0] ?? '', /torn at 1970-01-01T00:00:03.500Z/)
  const empty: ServiceCourse = { name: 'new', fromMs: 5_000, untilMs: 5_000, intervals: [] }
  assert.deepEqual(examineCloud({ cluster: healthy, inventories: new Map(), courses: [empty] }), [])
})

test('a host on which machines are not guarded is found, and so is one that does not keep their security groups', () => {
  const on = (changes: Parameters<typeof makeHost>[1], spec = web.spec) =>
    found(makeCluster({ hosts: [makeHost('ada', changes), makeHost('bob')], vms: [{ ...web, spec }, app] }))
  assert.deepEqual(on({ status: { firewall: 'none' } }), ['machines-are-guarded: ada'])
  assert.deepEqual(on({ status: { firewall: 'stateless' } }), [])
  const grouped = { ...web.spec, securityGroupIds: [securityGroupIdSchema.parse('sg-aaaaaaaa')] }
  assert.deepEqual(on({ status: { firewall: 'stateless' } }, grouped), ['machines-are-guarded: ada'])
  assert.deepEqual(on({ status: { firewall: 'bridge-netfilter' } }, grouped), [])
})

test('every invariant has a planted violation above', () => {
  assert.deepEqual(Object.keys(invariants).length, 14)
})
