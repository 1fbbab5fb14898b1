import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type HostChanges,
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeStorage,
  makeVm,
  sessionIdOf,
  sharedId,
  someTime,
  storageIdOf,
} from '../model/cluster-state.fixture.ts'
import { guestProfiles } from '../model/guest.ts'
import { securityGroupIdSchema } from '../model/ids.ts'
import type { VmSpec } from '../model/vm.ts'
import { describeVerdicts, type PlacementWishes, placeVm, usageOf } from './place-vm.ts'

const vm = makeVm('web')
const reasonFor = (changes: HostChanges, spec = vm.spec) => {
  const choice = placeVm(makeCluster({ hosts: [makeHost('ada', changes)] }), spec)
  return choice.kind === 'placed' ? 'fits' : (choice.verdicts[0]?.reason ?? '')
}

test('a host that has what the machine needs fits', () => assert.equal(reasonFor({}), 'fits'))

test('each host that does not fit says why', () => {
  assert.match(reasonFor({ status: { state: 'suspect' } }), /it is suspect/)
  assert.match(reasonFor({ status: { state: 'maintenance' } }), /it is maintenance/)
  assert.match(reasonFor({ status: { storageIds: [] } }), /doesn't have the storage shared/)
  assert.match(reasonFor({ status: { accelerator: 'kvm' } }), /runs guests by kvm.*pinned to tcg/)
  assert.match(reasonFor({ status: { qemuVersion: '7.2.9' } }), /7\.2\.9 is older than the machine's 7\.2\.22/)
  assert.equal(reasonFor({ status: { qemuVersion: '10.0.0' } }), 'fits')
  assert.match(reasonFor({ status: { memoryMiB: 303 } }), /needs 304 MiB with overhead, 303 of 303 MiB are free/)
  assert.equal(reasonFor({ status: { memoryMiB: 304 } }), 'fits')
  assert.match(reasonFor({}, makeVm('web', { spec: { cpus: 5 } }).spec), /wants 5 vCPUs, the host has 4/)
})

test('a machine with HA goes only where something could prove it dead', () => {
  assert.match(reasonFor({ status: { armed: 'none' } }), /neither an armed watchdog nor a power fence/)
  const fence = { agent: 'fence_virsh', parameters: {} }
  assert.equal(reasonFor({ status: { armed: 'none' }, spec: { fence } }), 'fits')
  assert.equal(reasonFor({ status: { armed: 'none' } }, makeVm('web', { spec: { ha: false } }).spec), 'fits')
})

test('a machine with security groups goes only where connections are followed; one without goes anywhere', () => {
  const grouped = makeVm('web', { spec: { securityGroupIds: [securityGroupIdSchema.parse('sg-aaaaaaaa')] } }).spec
  assert.equal(reasonFor({ status: { firewall: 'bridge-netfilter' } }, grouped), 'fits')
  for (const firewall of ['stateless', 'none'] as const) {
    const status = { firewall, firewallDetail: 'nft is missing' }
    assert.equal(reasonFor({ status }, grouped), "it can't keep the machine's security groups: nft is missing")
    assert.equal(reasonFor({ status }), 'fits')
  }
})

test('a machine goes only where its firmware and TPM are, and a host that lacks them names the package', () => {
  const windows = makeVm('web', { spec: { guest: { os: 'windows', ...guestProfiles.windows } } }).spec
  assert.equal(reasonFor({ status: { guestSupport: ['uefi', 'secure-boot', 'tpm'] } }, windows), 'fits')
  assert.match(reasonFor({ status: { guestSupport: ['uefi'] } }, windows), /ovmf/)
  assert.match(reasonFor({ status: { guestSupport: ['secure-boot'] } }, windows), /swtpm/)
  assert.equal(reasonFor({ status: { guestSupport: [] } }), 'fits')
})

test('vCPUs are overcommitted up to a bound', () => {
  const others = Array.from({ length: 8 }, (_, index) =>
    makeVm(`other${index}`, { on: 'ada', spec: { cpus: 4, memoryMiB: 16 } }),
  )
  const choice = placeVm(makeCluster({ hosts: [makeHost('ada')], vms: others }), vm.spec)
  assert.match(choice.verdicts[0]?.reason ?? '', /carry at most 32 vCPUs, 32 are taken/)
})

test('a machine counts where it is placed until it has stopped, and never against itself', () => {
  const parts = { hosts: [makeHost('ada')] }
  const usage = (other: ReturnType<typeof makeVm>) =>
    usageOf(hostIdOf('ada'), vm.spec, makeCluster({ ...parts, vms: [other] }))
  assert.equal(usage(makeVm('app', { on: 'ada' })).memoryMiB, 304)
  assert.equal(
    usage(makeVm('app', { on: 'ada', spec: { desired: 'stopped' }, status: { state: 'running' } })).machines,
    1,
  )
  assert.equal(
    usage(makeVm('app', { on: 'ada', spec: { desired: 'stopped' }, status: { state: 'stopped' } })).machines,
    0,
  )
  assert.equal(usage(makeVm('web', { on: 'ada' })).machines, 0)
})

test('a bound machine goes only to its disk; required, excluded and preferred hosts are heeded', () => {
  const hosts = ['ada', 'bob', 'cyd'].map((name) =>
    makeHost(name, { status: { storageIds: [sharedId, storageIdOf('local')] } }),
  )
  const cluster = makeCluster({
    hosts,
    storages: [makeStorage('shared'), makeStorage('local')],
    vms: [makeVm('app', { on: 'cyd' })],
  })
  const where = (wishes: PlacementWishes, spec = vm.spec) => {
    const choice = placeVm(cluster, spec, wishes)
    return choice.kind === 'placed' ? choice.hostId : describeVerdicts(choice.verdicts)
  }
  assert.equal(where({}), hostIdOf('ada'))
  assert.equal(where({ preferred: hostIdOf('cyd') }), hostIdOf('cyd'))
  assert.equal(where({ required: hostIdOf('bob') }), hostIdOf('bob'))
  assert.equal(where({ excluded: new Map([[hostIdOf('ada'), 'no']]) }), hostIdOf('bob'))
  assert.equal(where({}, makeVm('web', { spec: { boundToHostId: hostIdOf('cyd') } }).spec), hostIdOf('cyd'))
  assert.match(
    where({ required: hostIdOf('bob'), excluded: new Map([[hostIdOf('bob'), 'it failed there']]) }),
    /bob: it failed there/,
  )
})

test('the same cluster gives the same answer, in whatever order hosts joined', () => {
  const names = ['cyd', 'ada', 'bob']
  const answers = [names, names.toReversed()].map((order) =>
    placeVm(makeCluster({ hosts: order.map((name) => makeHost(name)) }), vm.spec),
  )
  assert.deepEqual(
    answers.map((choice) => choice.kind === 'placed' && choice.hostId),
    [hostIdOf('ada'), hostIdOf('ada')],
  )
})

test('without any host the sentence says so', () => assert.equal(describeVerdicts([]), 'no host has joined'))

describe('memory that is kept free for take-overs', () => {
  const standby = {
    hostId: hostIdOf('ada'),
    session: sessionIdOf('ada'),
    imageId: imageIdOf('one'),
    chosenAt: someTime,
  }
  const guarded = (name: string, on: string, memoryMiB = 952) =>
    makeVm(name, { on, spec: { memoryMiB }, standby: { ...standby, reason: '' } })
  /** Ada has 3000 MiB. */
  const fits = (vms: readonly ReturnType<typeof makeVm>[], spec: VmSpec, wishes: PlacementWishes = {}) =>
    placeVm(makeCluster({ hosts: [makeHost('ada', { status: { memoryMiB: 3000 } })], vms }), spec, wishes).kind ===
    'placed'
  const newcomer = (memoryMiB: number) => makeVm('new', { spec: { memoryMiB } }).spec

  test('keeps another machine away', () => {
    assert.equal(fits([guarded('app', 'bob')], newcomer(1952)), true)
    assert.equal(fits([guarded('app', 'bob')], newcomer(1953)), false)
    assert.equal(fits([guarded('app', 'bob'), guarded('db', 'bob')], newcomer(953)), false)
  })

  test('is that of the one host whose failure would bring most: not every host fails at once', () => {
    assert.equal(fits([guarded('app', 'bob'), guarded('db', 'cyd')], newcomer(1952)), true)
  })

  test('is not kept for a machine that is stopped, or that has arrived', () => {
    const stopped = makeVm('app', {
      on: 'bob',
      spec: { desired: 'stopped', memoryMiB: 952 },
      standby: { ...standby, reason: '' },
    })
    assert.equal(fits([stopped], newcomer(2900)), true)
    assert.equal(fits([guarded('app', 'ada')], newcomer(1952)), true)
  })

  test('is there for the machine that takes over, whatever the failure of yet another host would bring', () => {
    const app = guarded('app', 'bob')
    const others = [guarded('db', 'cyd', 1452), makeVm('here', { on: 'ada', spec: { memoryMiB: 1452 } })]
    assert.equal(fits([app, ...others], app.spec, { takesOver: true }), true)
    assert.equal(fits([app, ...others], newcomer(952)), false)
  })

  test('is not given twice to machines that come from the same host', () => {
    const app = guarded('app', 'bob')
    assert.equal(fits([app, guarded('db', 'bob', 1952)], app.spec, { takesOver: true }), true)
    assert.equal(fits([app, guarded('db', 'bob', 1953)], app.spec, { takesOver: true }), false)
  })
})
