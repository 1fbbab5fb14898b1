import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type HostChanges,
  hostIdOf,
  makeCluster,
  makeHost,
  makeVm,
  sessionIdOf,
  someTime,
  storageIdOf,
  type VmChanges,
} from '../model/cluster-state.fixture.ts'
import { taskIdSchema } from '../model/ids.ts'
import { admitMigration } from './admit-migration.ts'
import { machinesAtStake } from './decide-fencing.ts'
import { decideVm } from './decide-vm.ts'
import { usageOf } from './place-vm.ts'
import { calm } from './vm-question.fixture.ts'

const running = { on: 'ada', status: { state: 'running' } } as const satisfies VmChanges

function ask(wish: { vm?: VmChanges; ada?: HostChanges; bob?: HostChanges; to?: string }) {
  const vm = makeVm('web', { ...running, ...wish.vm })
  const cluster = makeCluster({ hosts: [makeHost('ada', wish.ada), makeHost('bob', wish.bob)], vms: [vm] })
  return admitMigration(cluster, vm, wish.to === undefined ? {} : { hostId: hostIdOf(wish.to) })
}

const refusal = (wish: Parameters<typeof ask>[0]) => {
  const verdict = ask(wish)
  return verdict.kind === 'refused' ? `${verdict.code}: ${verdict.message}` : 'admitted'
}

/** From ada to bob, under epoch 6. */
function moving(phase: 'moving' | 'switched' = 'moving') {
  const vm = makeVm('web', running)
  const migration = {
    taskId: taskIdSchema.parse('task-aaaaaaaa'),
    sourceHostId: hostIdOf('ada'),
    sourceEpoch: 5,
    destinationHostId: hostIdOf('bob'),
    epoch: 6,
    session: sessionIdOf('bob'),
    phase,
    disks: [],
    startedAt: someTime,
    reason: 'a test',
  }
  const on = phase === 'switched' ? makeVm('web', { ...running, on: 'bob', placement: { epoch: 6 } }) : vm
  const record = { ...on, migration }
  return { vm: record, cluster: makeCluster({ hosts: [makeHost('ada'), makeHost('bob')], vms: [record] }) }
}

describe('a move', () => {
  test('goes to the host that was asked for, or to where it fits best', () => {
    assert.deepEqual(ask({}).kind === 'admitted' && ask({}), { ...ask({ to: 'bob' }) })
  })

  test('is refused with the reason', () => {
    assert.match(refusal({ to: 'ada' }), /wrong-state: web runs on ada already/)
    assert.match(refusal({ vm: { status: { state: 'stopped' } } }), /wrong-state: web is stopped/)
    assert.match(refusal({ vm: { status: { state: 'paused' } } }), /wrong-state: web is paused/)
    assert.match(refusal({ vm: { spec: { desired: 'stopped' } } }), /wrong-state/)
    assert.match(refusal({ ada: { status: { state: 'suspect' } } }), /host-unreachable: ada.*does not answer/)
    assert.match(refusal({ bob: { status: { state: 'offline' } }, to: 'bob' }), /no-host-fits: .*bob: it is offline/)
    assert.match(refusal({ bob: { status: { memoryMiB: 100 } } }), /no-host-fits: .*bob: needs 304 MiB/)
    assert.match(refusal({ bob: { status: { accelerator: 'kvm' } } }), /no-host-fits: .*pinned to tcg/)
    assert.match(refusal({ bob: { status: { storageIds: [] } } }), /no-host-fits: .*doesn't have the storage/)
    const local = { storage: storageIdOf('ada'), spec: { boundToHostId: hostIdOf('ada') } }
    assert.match(refusal({ vm: local }), /no-host-fits: .*bob: it has no storage of its own for the machine's disks/)
  })

  test('is refused while another one of the same machine goes on', () => {
    const { vm, cluster } = moving()
    const verdict = admitMigration(cluster, vm, undefined)
    assert.equal(verdict.kind === 'refused' && verdict.message, 'web is being moved to bob already')
  })

  test('takes its room, and puts the machine at stake, on both hosts', () => {
    for (const phase of ['moving', 'switched'] as const) {
      const { cluster } = moving(phase)
      for (const name of ['ada', 'bob']) {
        assert.equal(usageOf(hostIdOf(name), undefined, cluster).machines, 1)
        assert.equal(machinesAtStake(cluster, hostIdOf(name)).length, 1)
      }
    }
  })

  test('keeps everything else from deciding on the machine, and after the change of owner from starting it', () => {
    for (const phase of ['moving', 'switched'] as const) {
      const { vm, cluster } = moving(phase)
      assert.equal(decideVm(cluster, vm, calm).kind, 'wait')
    }
  })
})
