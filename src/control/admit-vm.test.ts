import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ClusterParts,
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeStorage,
  makeVm,
  sharedId,
  someTime,
  storageIdOf,
  tinyTemplate,
  vmIdOf,
  volumeIdOf,
} from '../model/cluster-state.fixture.ts'
import { templateIdSchema } from '../model/ids.ts'
import { admitVm, type VmWish } from './admit-vm.ts'
import { addressToNumber, numberToAddress } from './ipv4.ts'

const identity = {
  vmId: vmIdOf('new'),
  volumeIds: [volumeIdOf('root'), volumeIdOf('data')],
  generationId: '00000000-0000-4000-8000-000000000009',
  createdAt: someTime,
}
const wish: VmWish = {
  name: 'new',
  template: 'tiny',
  disks: [],
  ha: true,
  autostart: true,
  startOrder: 100,
  start: true,
  extraCommandLine: '',
  recovery: { mode: 'boot' },
  drillable: false,
}
const admit = (changes: Partial<VmWish> = {}, parts: ClusterParts = {}) =>
  admitVm(makeCluster({ hosts: [makeHost('ada'), makeHost('bob')], ...parts }), { ...wish, ...changes }, identity)
const refusal = (...given: Parameters<typeof admit>) => {
  const answer = admit(...given)
  return answer.kind === 'refused' ? answer.code : answer.kind
}
const local = (host: string) =>
  makeStorage('local', { id: storageIdOf(`l${host}`), name: 'local', shared: false, hostId: hostIdOf(host) })
const onLocal: ClusterParts = {
  hosts: ['ada', 'bob'].map((name) => makeHost(name, { status: { storageIds: [storageIdOf(`l${name}`)] } })),
  storages: [local('ada'), local('bob')],
}

test('a wish becomes a whole machine: template’s size, smallest number, first free address, MAC from it, disks in order', () => {
  const answer = admit(
    { disks: [{ sizeMiB: 50, format: 'raw' }] },
    { vms: [makeVm('old', { spec: { number: 1, address: '10.0.0.10' } })] },
  )
  assert.ok(answer.kind === 'admitted')
  const { spec } = answer
  assert.deepEqual(
    [spec.cpus, spec.memoryMiB, spec.number, spec.address, spec.macAddress],
    [1, 128, 2, '10.0.0.11', '52:54:0a:00:00:0b'],
  )
  assert.deepEqual(
    spec.disks.map(({ volumeId, sizeMiB, format }) => [volumeId, sizeMiB, format]),
    [
      [volumeIdOf('root'), 100, 'qcow2'],
      [volumeIdOf('data'), 50, 'raw'],
    ],
  )
  assert.deepEqual([spec.lifecycle, spec.desired, spec.boundToHostId], ['creating', 'running', null])
})

test('each refusal has its code', () => {
  assert.equal(refusal({}, { vms: [makeVm('new')] }), 'name-taken')
  assert.equal(refusal({ template: 'huge' }), 'template-not-built')
  assert.equal(refusal({ memoryMiB: 63 }), 'invalid-input')
  assert.equal(refusal({ host: 'zoe' }), 'not-found')
  assert.equal(refusal({ storage: 'tape' }), 'not-found')
  assert.equal(refusal({}, { storages: [] }), 'not-found')
  assert.equal(refusal({}, { storages: [makeStorage('shared'), makeStorage('second')] }), 'invalid-input')
  assert.equal(refusal({}, { hosts: [makeHost('ada', { status: { state: 'offline' } })] }), 'no-host-fits')
  assert.equal(refusal({ memoryMiB: 9_999 }), 'no-host-fits')
  assert.equal(refusal({}, { network: null }), 'wrong-state')
  assert.equal(refusal({ address: '10.0.0.21' }), 'invalid-input')
  assert.equal(
    refusal({ address: '10.0.0.12' }, { vms: [makeVm('old', { spec: { address: '10.0.0.12' } })] }),
    'address-taken',
  )
  const network = { subnet: '10.0.0.0/24', gateway: '10.0.0.1', addressFrom: '10.0.0.12', addressTo: '10.0.0.12' }
  assert.equal(refusal({}, { network, vms: [makeVm('old', { spec: { address: '10.0.0.12' } })] }), 'address-taken')
  assert.equal(refusal({ ha: true }, onLocal), 'invalid-input')
})

test('the gateway’s address is given to no machine', () => {
  const network = { subnet: '10.0.0.0/24', gateway: '10.0.0.1', addressFrom: '10.0.0.1', addressTo: '10.0.0.9' }
  const answer = admit({}, { network })
  assert.equal(answer.kind === 'admitted' && answer.spec.address, '10.0.0.2')
})

test('on local storage the choice of the host is the choice of the storage', () => {
  const answer = admit({ ha: false, host: 'bob' }, onLocal)
  assert.ok(
    answer.kind === 'admitted' && answer.hostId === hostIdOf('bob') && answer.spec.boundToHostId === hostIdOf('bob'),
  )
  assert.equal(admit({ ha: false, storage: 'local' }, onLocal).kind, 'admitted')
})

test('hardware is pinned to what the online hosts have at the lowest version, KVM before TCG', () => {
  const versions = ['8.1.0', '10.0.0', '7.2.22']
  const hosts = versions.map((qemuVersion, index) => makeHost(`h${index}`, { status: { qemuVersion } }))
  const pinned = (parts: ClusterParts) => {
    const answer = admit({}, parts)
    return answer.kind === 'admitted'
      ? `${answer.spec.hardware.accelerator} ${answer.spec.hardware.qemuVersion}`
      : answer.message
  }
  assert.equal(pinned({ hosts }), 'tcg 7.2.22')
  assert.equal(
    pinned({ hosts: [...hosts, makeHost('kim', { status: { accelerator: 'kvm', qemuVersion: '9.0.0' } })] }),
    'kvm 9.0.0',
  )
})

test('an address becomes a number and back', () => {
  for (const address of ['0.0.0.0', '10.0.0.255', '192.168.1.7', '255.255.255.255'])
    assert.equal(numberToAddress(addressToNumber(address)), address)
  assert.equal(numberToAddress(addressToNumber('10.0.0.255') + 1), '10.0.1.0')
})

const warm = { mode: 'warm' } as const
const checkpoint = { mode: 'checkpoint', everySeconds: 300, keep: 2 } as const
const specOf = (...given: Parameters<typeof admit>) => {
  const answer = admit(...given)
  assert.ok(answer.kind === 'admitted', JSON.stringify(answer))
  return answer.spec
}

test('the template says when the service is up; one that recovers from memory is asked more often; nobody is asked by choice', () => {
  assert.deepEqual([specOf().probe?.check.kind, specOf().probe?.everyMs], ['http', 1_000])
  assert.equal(specOf({ recovery: warm }).probe?.everyMs, 250)
  assert.equal(specOf({ probe: null }).probe, null)
})

test('recovery from memory is refused without a probe, and checkpoints of a disk that can’t be part of one', () => {
  const raw = [{ sizeMiB: 50, format: 'raw' }] as const
  assert.equal(refusal({ recovery: warm, probe: null }), 'invalid-input')
  assert.equal(refusal({ recovery: checkpoint, disks: raw }), 'invalid-input')
  assert.equal(refusal({ recovery: warm, disks: raw }), 'admitted')
  assert.equal(refusal({ recovery: checkpoint, disks: [{ sizeMiB: 50, format: 'qcow2' }] }), 'admitted')
})

test('a template whose guest can’t be given new random numbers is refused as a memory to recover from', () => {
  const cluster = makeCluster({ hosts: [makeHost('ada')] })
  const templates = new Map([...cluster.templates].map(([id, template]) => [id, { ...template, canResume: false }]))
  const answer = (recovery: VmWish['recovery']) => admitVm({ ...cluster, templates }, { ...wish, recovery }, identity)
  const refused = answer(warm)
  assert.equal(refused.kind === 'refused' && refused.code, 'image-unfit')
  assert.equal(answer({ mode: 'boot' }).kind, 'admitted')
})

test('a clone from memory has the hardware and the root disk that its memory was captured with', () => {
  const hardware = { machineType: 'pc-q35-7.1', cpuModel: 'max', accelerator: 'tcg', qemuVersion: '7.1.0' } as const
  const clonedFrom = { imageId: imageIdOf('one'), volumeId: volumeIdOf('src'), storageId: sharedId }
  const spec = specOf({ origin: { clonedFrom, hardware, rootDiskMiB: 777 } })
  assert.deepEqual([spec.hardware, spec.clonedFrom, spec.disks[0]?.sizeMiB], [hardware, clonedFrom, 777])
})

test('what would break the reserve for failing hosts is refused, unless it is forced or not started', () => {
  const hosts = ['ada', 'bob'].map((name) => makeHost(name, { status: { memoryMiB: 400 } }))
  const parts = { hosts, vms: [makeVm('web', { on: 'ada' })], hostFailuresToTolerate: 1 }
  assert.equal(refusal({}, parts), 'reserve-broken')
  assert.equal(refusal({ isForced: true }, parts), 'admitted')
  assert.equal(refusal({ start: false }, parts), 'admitted')
})

test('a machine of a template that was made from another machine is to be told who it is', () => {
  const madeFrom = { vmName: 'web', snapshotName: null, takenAt: someTime, consistency: 'stopped' } as const
  const shop = {
    ...tinyTemplate,
    id: templateIdSchema.parse('tpl-shop0000'),
    version: 'shop-1',
    name: 'shop',
    madeFrom,
  }
  const made = (template: string) => {
    const admission = admit({ template }, { templates: [shop] })
    return admission.kind === 'admitted' && admission.spec.isUntoldClone
  }
  assert.deepEqual([made('tiny'), made('shop')], [false, true])
})
