import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type HostChanges,
  makeCluster,
  makeHost,
  makeStorage,
  makeVm,
  storageIdOf,
  type VmChanges,
  vmIdOf,
  volumeIdOf,
} from '../../model/cluster-state.fixture.ts'
import { usageOf } from '../place-vm.ts'
import { admitDisk, growDisk, refuseDetach } from './admit-disk.ts'
import { admitSize } from './admit-size.ts'

const running = { on: 'ada', status: { state: 'running' } } as const satisfies VmChanges
const local = makeStorage('disk', { shared: false, hostId: makeHost('ada').spec.id })

function cloud(wish: { vm?: VmChanges; ada?: HostChanges; bob?: HostChanges } = {}) {
  const vm = makeVm('web', { ...running, ...wish.vm })
  const hosts = [makeHost('ada', wish.ada), makeHost('bob', wish.bob)]
  return { vm, cluster: makeCluster({ hosts, vms: [vm] }) }
}

function resize(wish: { cpus?: number; memoryMiB?: number }, where: Parameters<typeof cloud>[0] = {}) {
  const { vm, cluster } = cloud(where)
  return admitSize(cluster, vm, { ...wish, isForced: false })
}

const sentence = (verdict: { readonly kind: string; readonly message?: string }) => verdict.message ?? verdict.kind

describe('another size', () => {
  test('is admitted where its host has room, and takes a new room to grow only when the old one is too small', () => {
    const growth = { maximumCpus: 8, maximumMemoryMiB: 8192 }
    const within = resize({ memoryMiB: 512 }, { vm: { ...running, spec: { growth } } })
    assert.deepEqual(within.kind === 'admitted' && within.spec.growth, growth)
    const beyond = resize({ memoryMiB: 512 }, { vm: { ...running, spec: { growth: null } } })
    assert.ok(beyond.kind === 'admitted' && beyond.spec.growth !== null && beyond.spec.memoryMiB === 512)
  })

  test('that its host has no room for says which one has, and how to get there', () => {
    const full = { status: { memoryMiB: 400 } }
    assert.match(sentence(resize({ memoryMiB: 1000 }, { ada: full })), /bob has room: dialtone vm migrate web --to bob/)
    assert.match(
      sentence(resize({ memoryMiB: 1000 }, { ada: full, bob: full })),
      /nor would another host have room: bob/,
    )
  })

  test('is not looked for room when it is smaller, or when the machine is off', () => {
    assert.equal(resize({ memoryMiB: 128 }, { ada: { status: { memoryMiB: 100 } } }).kind, 'admitted')
    const off = { spec: { desired: 'stopped' }, status: { state: 'stopped' } } as const
    assert.equal(resize({ memoryMiB: 9999 }, { vm: { ...running, ...off } }).kind, 'admitted')
  })

  test('of memory counts as long as its guest has it', () => {
    const hardware = { cpus: 1, memoryMiB: 1024, disks: [], cards: [], notes: [] }
    const { cluster } = cloud({ vm: { ...running, status: { ...running.status, hardware } } })
    const before = cloud().cluster
    const hostId = makeHost('ada').spec.id
    const more = usageOf(hostId, undefined, cluster).memoryMiB - usageOf(hostId, undefined, before).memoryMiB
    assert.equal(more, 1024 - 256)
  })
})

describe('a disk', () => {
  const data = { ...makeVm('web').spec.disks[0], volumeId: volumeIdOf('data'), storageId: storageIdOf('shared') }

  test('more is on the storage of the root disk, and on no local one where the machine may run anywhere', () => {
    const { vm, cluster } = cloud()
    const wish = { sizeMiB: 64, format: 'qcow2' } as const
    const admitted = admitDisk(cluster, vm, wish)
    assert.equal(admitted.kind === 'admitted' && admitted.storage.id, vm.spec.disks[0]?.storageId)
    const withLocal = { ...cluster, storages: new Map([...cluster.storages, [local.id, local]]) }
    assert.match(sentence(admitDisk(withLocal, vm, { ...wish, storage: local.name })), /HA, which needs shared storage/)
    assert.match(sentence(admitDisk(cluster, vm, { ...wish, storage: 'nowhere' })), /no storage nowhere/)
  })

  test('is made larger and never smaller', () => {
    const { vm, cluster } = cloud()
    const [disk] = vm.spec.disks
    assert.ok(disk)
    const larger = growDisk(cluster, vm, { disk, sizeMiB: 200 })
    assert.equal(larger.kind === 'admitted' && larger.spec.disks[0]?.sizeMiB, 200)
    assert.match(sentence(growDisk(cluster, vm, { disk, sizeMiB: 99 })), /not made smaller/)
  })

  test('is not taken out when it is the root disk, nor while a task works on the machine', () => {
    const { vm, cluster } = cloud()
    const [root] = vm.spec.disks
    assert.ok(root)
    assert.match(refuseDetach(cluster, vm, root)?.message ?? '', /root disk/)
    const disk = { ...root, ...data }
    assert.equal(refuseDetach(cluster, vm, disk), undefined)
    const operation = { taskId: 'task-aaaaaaaa', kind: 'snapshot', needsClosed: false, epoch: null } as const
    const busy = { ...vm, operation: { ...operation, taskId: operation.taskId, openedAt: '' } } as unknown as typeof vm
    assert.match(refuseDetach(cluster, busy, disk)?.message ?? '', /not changed now/)
    assert.equal(vm.spec.id, vmIdOf('web'))
  })
})
