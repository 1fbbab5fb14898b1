import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostIdOf,
  makeCluster,
  makeHost,
  makeReport,
  makeStorage,
  makeVm,
  sharedId,
  someTime,
  storageIdOf,
  vmIdOf,
  volumeIdOf,
} from '../../model/cluster-state.fixture.ts'
import type { ClusterState } from '../../model/cluster-state.ts'
import { networkIdSchema, serviceIdSchema, snapshotIdSchema } from '../../model/ids.ts'
import { virtualNetworkSchema } from '../../model/network.ts'
import { identityOf, type ManifestChanges, makeManifest } from '../../model/rebuild/sample-manifest.fixture.ts'
import type { HostTestimony, Testimony, VolumeContents } from '../../model/rebuild/testimony.ts'
import type { VmManifest } from '../../model/rebuild/vm-manifest.ts'
import { snapshotSchema } from '../../model/snapshots/snapshot.ts'
import type { MachineReport } from '../../model/vm.ts'
import { planRebuild } from './plan-rebuild.ts'

const empty = makeCluster({ storages: [], network: null })

/** It introduces itself, answers, and holds this. */
function host(name: string, reports: readonly MachineReport[] | undefined = []): HostTestimony {
  const { id, address, port, number } = identityOf(name)
  return {
    host: { id, name, address, port, number },
    introduction: { hostName: name, address, port, configuration: null },
    reports,
  }
}

function volume(name: string, changes: Partial<VolumeContents> = {}): VolumeContents {
  return { volumeId: volumeIdOf(name), manifest: null, claim: null, snapshots: [], error: null, ...changes }
}

const claimOf = (vm: string, hostName: string, epoch: number): VolumeContents['claim'] => ({
  hostName,
  life: { vmId: vmIdOf(vm), epoch, incarnation: 0 },
})

/** Beside its disk lies its manifest; `at` is where that is. */
const machine = (name: string, changes: ManifestChanges = {}, more: Partial<VolumeContents> = {}) =>
  volume(name, { manifest: makeManifest(name, changes), ...more })

function on(volumes: readonly VolumeContents[], storage = makeStorage('shared')): Testimony['storages'][number] {
  return { storage, readBy: hostIdOf('ada'), volumes }
}

function plan(testimony: Partial<Testimony>, cluster: ClusterState = empty) {
  const { view, entries } = planRebuild(cluster, { hosts: [], storages: [], unread: [], ...testimony }, someTime)
  const item = (name: string) => view.items.find((one) => one.name === name) ?? assert.fail(`no item ${name}`)
  const vm = (name: string) => entries.vms.find(({ spec }) => spec.name === name)
  return { view, entries, item, vm }
}

test('a machine that runs is entered where it runs, wanted stopped and awaited there, with all that it needs', () => {
  const storages = [on([machine('web', { on: 'ada' }, { claim: claimOf('web', 'ada', 5) })])]
  const { item, vm, entries, view } = plan({ hosts: [host('ada', [makeReport('web')])], storages })
  assert.equal(item('web').detail, 'runs on ada, and is left to run there')
  const entry = vm('web')
  assert.deepEqual(entry?.placement, { hostId: hostIdOf('ada'), epoch: 5 })
  assert.deepEqual(entry.spec.rebuilt, { upToEpoch: 5, ownedEpoch: 5, awaits: [hostIdOf('ada')] })
  assert.deepEqual([entry.spec.desired, entry.spec.lifecycle], ['stopped', 'live'])
  assert.deepEqual(
    entry.volumes.map(({ id }) => id),
    [volumeIdOf('web')],
  )
  assert.deepEqual(
    entries.storages.map(({ name }) => name),
    ['shared'],
  )
  assert.deepEqual(
    entries.hosts.map(({ id, fence }) => [id, fence]),
    [[hostIdOf('ada'), null]],
  )
  assert.notEqual(entries.flatNetwork, null)
  assert.deepEqual(view.answered, ['ada'])
})

test('one that its last host does not have is not started by that; one that never ran waits for nobody', () => {
  const storages = [
    on([machine('web', { on: 'ada' }, { claim: claimOf('web', 'ada', 5) }), machine('new', { version: { epoch: 0 } })]),
  ]
  const { item, vm } = plan({ hosts: [host('ada')], storages })
  assert.equal(item('web').detail, 'runs nowhere, and is not started until you start it')
  assert.deepEqual(vm('web')?.spec.rebuilt?.awaits, [hostIdOf('ada')])
  assert.deepEqual([vm('new')?.placement, vm('new')?.spec.rebuilt?.awaits], [null, []])
})

test('a host that did not answer is entered, and what it may run is held', () => {
  const storages = [on([machine('web', { on: 'bob' }, { claim: claimOf('web', 'bob', 5) })])]
  const { item, vm, entries } = plan({ hosts: [host('ada')], storages })
  assert.match(item('bob').detail, /did not answer/)
  assert.match(item('web').detail, /^is held: bob may run it .* confirm-dead bob$/)
  assert.deepEqual(vm('web')?.spec.rebuilt?.awaits, [hostIdOf('bob')])
  assert.deepEqual(
    entries.hosts.map(({ name }) => name),
    ['ada', 'bob'],
  )
})

test('a claim that is newer than the manifest says who had it last; without its host nothing is entered', () => {
  const content = machine('web', { on: 'ada' }, { claim: claimOf('web', 'bob', 6) })
  const known = plan({ hosts: [host('ada'), host('bob', undefined)], storages: [on([content])] })
  assert.deepEqual(known.vm('web')?.spec.rebuilt, { upToEpoch: 6, ownedEpoch: 6, awaits: [hostIdOf('bob')] })
  const unknown = plan({ hosts: [host('ada')], storages: [on([content])] })
  assert.equal(unknown.vm('web'), undefined)
  assert.match(unknown.item('web').detail, /by its claim bob had it last, and nobody knows that host/)
})

test('a placement that is newer than every claim is waited for, and so is whoever says that it holds the machine', () => {
  const content = machine('web', { on: 'bob', version: { epoch: 7 } }, { claim: claimOf('web', 'ada', 5) })
  const { vm, item } = plan({
    hosts: [host('ada', [makeReport('web')]), host('bob', undefined)],
    storages: [on([content])],
  })
  assert.deepEqual(vm('web')?.spec.rebuilt, {
    ...{ upToEpoch: 7, ownedEpoch: 7 },
    awaits: [hostIdOf('bob'), hostIdOf('ada')],
  })
  assert.equal(item('web').action, 'enter')
})

test('a host that holds it under a higher epoch than its manifest knows is believed, and that is said', () => {
  const reports = [makeReport('web', { epoch: 9 })]
  const { vm, item } = plan({ hosts: [host('ada', reports)], storages: [on([machine('web', { on: 'ada' })])] })
  assert.deepEqual([vm('web')?.placement?.epoch, vm('web')?.spec.rebuilt?.upToEpoch], [9, 9])
  assert.match(item('web').doubts.join(), /under epoch 9, and the manifest knows 5/)
})

test('of two manifests the newer is true, and the older place is a left-over that nobody touches', () => {
  const local = makeStorage('local', { shared: false, hostId: hostIdOf('ada') })
  const older = { ...machine('web', { version: { epoch: 4, revision: 9 } }), claim: null }
  const storages = [on([older], local), on([machine('web', { vm: { spec: { note: 'true' } } })])]
  const { vm, item } = plan({ hosts: [host('ada')], storages })
  assert.equal(vm('web')?.spec.note, 'true')
  assert.match(item('web').doubts.join('\n'), /an older manifest of it lies at local\/.*\n.*is a left-over/)
})

test('two manifests of one version that differ are a matter for a person', () => {
  const other = makeStorage('other')
  const storages = [on([machine('web')]), on([machine('web', { vm: { spec: { note: 'other' } } })], other)]
  const { vm, item } = plan({ hosts: [host('ada')], storages })
  assert.equal(vm('web'), undefined)
  assert.match(item('web').detail, /two manifests of it have the same version and differ/)
})

test('a disk without a manifest, and a manifest without its disk, are told', () => {
  const two = { spec: { disks: [...makeVm('web').spec.disks, { ...diskOf('gone') }] } }
  const rootless = makeManifest('old', { vm: { spec: { disks: [diskOf('away'), diskOf('old')] } } })
  const contents = [machine('web', { vm: two }), volume('lost'), volume('old', { manifest: rootless })]
  const { view, item, vm } = plan({ hosts: [host('ada')], storages: [on(contents)] })
  assert.deepEqual(
    view.doubts.map(({ subject }) => subject),
    [`shared/${volumeIdOf('lost')}`, 'what is not beside disks'],
  )
  assert.match(item('web').doubts.join(), /its disk vol-gone0000 is missing on shared/)
  assert.match(item('old').detail, /its root disk vol-away0000 was not found/)
  assert.equal(vm('old'), undefined)
})

test('a storage that nobody could read is told, and a machine that has a disk there is entered with that doubt', () => {
  const disks = [...makeVm('web').spec.disks, { ...diskOf('far'), storageId: storageIdOf('far') }]
  const far = makeStorage('far')
  const content = machine('web', { vm: { spec: { disks } }, storages: [makeStorage('shared'), far] })
  const unread = [{ storage: far, why: 'it hangs' }]
  const { view, item } = plan({ hosts: [host('ada')], storages: [on([content])], unread })
  assert.match(item('web').doubts.join(), /on a storage that nobody could read/)
  assert.match(view.doubts.map(({ message }) => message).join(), /nobody could read this storage: it hangs/)
})

test('the owner of a local disk is awaited, whoever else has told', () => {
  const local = makeStorage('local', { shared: false, hostId: hostIdOf('bob') })
  const content = machine('web', { on: 'ada', vm: { storage: local.id }, storages: [local] })
  const { vm } = plan({ hosts: [host('ada'), host('bob', undefined)], storages: [on([content], local)] })
  assert.deepEqual(vm('web')?.spec.rebuilt?.awaits, [hostIdOf('ada'), hostIdOf('bob')])
  assert.equal(vm('web')?.spec.boundToHostId, hostIdOf('bob'))
})

test('a name, number or address that another one has leaves the machine out, with what to do', () => {
  const taken = (spec: Partial<VmManifest['vm']>) => {
    const others = makeCluster({ vms: [makeVm('other', { spec })], storages: [] })
    return plan({ hosts: [host('ada')], storages: [on([machine('web')])] }, others).item('web')
  }
  const { name, number, address } = makeVm('web').spec
  for (const spec of [{ name }, { number, address: '10.0.0.99' }, { address, number: 99 }]) {
    const { action, detail } = taken(spec)
    assert.equal(action, 'leave-out')
    assert.match(detail, /has its (?:name|number|address) .* already: rename, change or delete that one, then repeat/)
  }
})

test('of two manifests that want one name the younger is entered', () => {
  const clone = makeManifest('copy', { vm: { spec: { name: 'web' } }, writtenAt: '2026-02-01T00:00:00.000Z' })
  const storages = [on([machine('web'), volume('copy', { manifest: clone })])]
  const { entries } = plan({ hosts: [host('ada')], storages })
  assert.deepEqual(
    entries.vms.map(({ spec }) => spec.id),
    [vmIdOf('copy')],
  )
})

test('a network comes with its machine; where another one is in its way, neither is entered', () => {
  const networkId = networkIdSchema.parse('net-side0000')
  const side = virtualNetworkSchema.parse({
    ...{ id: networkId, name: 'side', number: 3, segment: { kind: 'vxlan', vni: 3 }, prefix6: null },
    ...{ pool: makeManifest('web').flatNetwork, domain: 'side', uplink: 'none', mtu: 1450, createdAt: someTime },
  })
  const { macAddress, address } = makeVm('web').spec
  const nics = [{ number: 0, networkId, macAddress, address, address6: null, mtu: null }]
  const storages = [on([machine('web', { vm: { spec: { nics } }, networks: [side] })])]
  assert.deepEqual(plan({ hosts: [host('ada')], storages }).entries.networks, [side])
  const other = { ...side, id: networkIdSchema.parse('net-other000'), name: 'other' }
  const { item, vm } = plan({ hosts: [host('ada')], storages }, makeCluster({ networks: [other], storages: [] }))
  assert.equal(item('side').action, 'leave-out')
  assert.match(item('web').detail, /its network net-side0000 is not entered/)
  assert.equal(vm('web'), undefined)
})

test('snapshots beside its disks come with it', () => {
  const snapshot = snapshotSchema.parse({
    ...{ formatVersion: 1, id: snapshotIdSchema.parse('snap-begin000'), vmId: vmIdOf('web'), name: 'begin', note: '' },
    ...{ kind: 'disk', consistency: 'crash', parentId: null, imageId: null, wasRunning: true, takenAt: someTime },
    disks: [{ volumeId: volumeIdOf('web'), storageId: sharedId, layerId: null, sizeMiB: 100 }],
    machine: { name: 'web', cpus: 1, memoryMiB: 256, hardware: makeVm('web').spec.hardware, templateVersion: 'tiny-1' },
    ...{ pauseMs: 0, origin: 'user', setId: null, isProtected: true },
  })
  const spec = { basedOnSnapshotId: snapshot.id }
  const contents = machine('web', { vm: { spec } }, { snapshots: [snapshot] })
  const { vm, item } = plan({ hosts: [host('ada')], storages: [on([contents])] })
  assert.deepEqual(vm('web')?.snapshots, [snapshot])
  assert.equal(vm('web')?.spec.basedOnSnapshotId, snapshot.id)
  assert.equal(item('web/begin').action, 'enter')
  const lost = plan({ hosts: [host('ada')], storages: [on([machine('web', { vm: { spec } })])] })
  assert.equal(lost.vm('web')?.spec.basedOnSnapshotId, null)
  assert.match(lost.item('web').doubts.join(), /snap-begin000 that it descends from was not found/)
})

test('an unknown template, and what was withheld, are doubts and no hindrance', () => {
  const cloudInit = { userData: '#cloud-config', sshKeys: [], networkConfig: null }
  const content = machine('web', { vm: { spec: { templateVersion: 'lost-1', cloudInit } } })
  const { item } = plan({ hosts: [host('ada')], storages: [on([content])] })
  assert.equal(item('web').action, 'enter')
  assert.match(item('web').doubts.join('\n'), /user-data is in no manifest.*\n.*template lost-1 is not here/)
})

test('a replica of a service that is lost is a VM of its own', () => {
  const membership = { serviceId: serviceIdSchema.parse('svc-shop0000'), component: 'web', replica: 1 }
  const { item, vm } = plan({
    hosts: [host('ada')],
    storages: [on([machine('web', { vm: { spec: { membership } } })])],
  })
  assert.equal(vm('web')?.spec.membership, undefined)
  assert.match(item('web').doubts.join(), /it was web of a service that is not here/)
})

test('what is there already is left alone: done again, nothing is entered', () => {
  const storages = [on([machine('web', { on: 'ada' })])]
  const cluster = makeCluster({ hosts: [makeHost('ada')], vms: [makeVm('web', { on: 'ada' })] })
  const { introduction: _gone, ...known } = host('ada')
  const { view, entries } = plan({ hosts: [{ ...known, introduction: null }], storages }, cluster)
  assert.deepEqual([...new Set(view.items.map(({ action }) => action))], ['present'])
  assert.deepEqual(
    [entries.vms, entries.hosts, entries.storages, entries.flatNetwork, view.doubts],
    [[], [], [], null, []],
  )
})

test('a host whose name or number another one has is not entered, nor is what it may run', () => {
  const other = makeHost('other', { spec: { name: 'ada' } })
  const storages = [on([machine('web', { on: 'ada' })])]
  const { item, vm } = plan({ hosts: [host('ada')], storages }, makeCluster({ hosts: [other], storages: [] }))
  assert.equal(vm('web'), undefined)
  assert.match(item('web').detail, /a host that may run it is not entered/)
})

function diskOf(word: string) {
  return { volumeId: volumeIdOf(word), storageId: sharedId, format: 'qcow2', sizeMiB: 64 } as const
}
