/** Clones by disks: every order meets with a mishap, under virtual time, against fake hosts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import type { Call } from '../../engine/fake-agents.fixture.ts'
import { arrange, letItEnd, mishaps } from '../../engine/mishaps.fixture.ts'
import { sharedId, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { snapshotIdSchema, type TaskId, type VmId } from '../../model/ids.ts'
import { beginDiskClone } from './begin-disk-clone.ts'
import type { CloneDisksJournal } from './clone-disks-saga.ts'
import { cloneDisksSaga } from './clone-disks-saga.ts'

const open = () =>
  startCloud({
    hosts: [{ name: 'ada' }, { name: 'bob' }],
    moreSagas: (leader, tasks) => [cloneDisksSaga(leader, tasks, { epochFloor: () => 1 })],
  })
const snapshotId = snapshotIdSchema.parse('snap-aaaaaaaa')
const disks = [1, 2].map((number) => ({
  ...{ volumeId: volumeIdOf(`web${number}`), storageId: sharedId, format: 'qcow2' as const, sizeMiB: 128 },
}))

async function origin(cloud: Cloud, isRunning: boolean): Promise<VmId> {
  const vmId = await cloud.createRunning('web', { spec: { disks } })
  if (isRunning) return vmId
  await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
  await cloud.clock.until('it is down', () => cloud.vm(vmId)?.status?.state === 'stopped', 10_000)
  return vmId
}

async function clone(cloud: Cloud, vmId: VmId, changes: Partial<CloneDisksJournal> = {}): Promise<TaskId> {
  const whole = { vmId, name: 'copy', snapshotId, isOwnSnapshot: true, isFull: false, start: true, networkId: null }
  const taskId = await cloud.begin('vm.clone-disks', { ...whole, user: 'ann', ...changes })
  await letItEnd(cloud)
  return taskId
}

const copyOf = (cloud: Cloud) => [...cloud.state().vms.values()].find(({ spec }) => spec.name === 'copy')

/** Of the clone all or nothing; of the origin nothing but what it was. */
function check(cloud: Cloud, vmId: VmId): 'whole' | 'nothing' {
  const copy = copyOf(cloud)
  const origins = cloud.vm(vmId)?.spec.disks.map(({ volumeId }) => volumeId) ?? []
  const own = copy?.spec.disks.map(({ volumeId }) => volumeId) ?? []
  assert.deepEqual([...cloud.agents.volumes].toSorted(), [...origins, ...own].toSorted())
  assert.deepEqual([...cloud.state().volumes.keys()].toSorted(), [...origins, ...own].toSorted())
  assert.deepEqual([...cloud.state().snapshots.keys()], [], 'its snapshot is left')
  assert.deepEqual([...cloud.agents.layers.snapshots.keys()], [], 'a snapshot is left beside the disks')
  assert.equal(cloud.vm(vmId)?.operation, undefined, 'an operation is left open')
  assert.deepEqual([cloud.agents.layers.violations, cloud.agents.twoWriters, cloud.agents.disks.troubles], [[], [], []])
  if (copy === undefined) return 'nothing'
  assert.equal(copy.spec.lifecycle, 'live')
  return 'whole'
}

describe('a clone by disks', () => {
  test('that is stopped before its guest was told who it is is told at its next start', async () => {
    await using cloud = await open()
    await clone(cloud, await origin(cloud, true))
    const copyId = copyOf(cloud)?.spec.id ?? assert.fail('it was made')
    const state = () => cloud.vm(copyId)?.status?.state
    const machine = () => [...cloud.agents.hosts.values()].flatMap(({ machines }) => machines.get(copyId) ?? [])[0]
    await cloud.clock.until('it runs', () => state() === 'running', 10_000)
    await cloud.change(copyId, { desired: 'stopped', stopMode: 'kill' })
    await cloud.clock.until('it is down', () => state() === 'stopped', 10_000)
    await cloud.change(copyId, { desired: 'running' })
    await cloud.clock.until('it runs again', () => state() === 'running', 10_000)
    const again = machine() ?? assert.fail('a host has it')
    assert.equal(again.order.isUntoldClone, true)
    again.isUntold = false
    await cloud.clock.advance(2_000)
    assert.equal(cloud.vm(copyId)?.spec.isUntoldClone, false)
  })

  const moments: readonly { readonly isRunning: boolean; readonly call: Call; readonly isFull?: boolean }[] = [
    { isRunning: true, call: 'snapshotMachine' },
    { isRunning: true, call: 'linkMachineDisks' },
    { isRunning: true, call: 'flattenVolume', isFull: true },
    { isRunning: true, call: 'removeSnapshot' },
    { isRunning: false, call: 'snapshotDisks' },
    { isRunning: false, call: 'linkDisks' },
  ]
  for (const { isRunning, call, isFull = false } of moments)
    for (const mishap of mishaps)
      test(`of a machine that ${isRunning ? 'runs' : 'is off'}, whose ${call} ${mishap}, is whole or nothing of it is left`, async () => {
        await using cloud = await open()
        const vmId = await origin(cloud, isRunning)
        arrange(cloud, mishap, { call })
        await clone(cloud, vmId, { isFull })
        const outcome = check(cloud, vmId)
        if (mishap.startsWith('crashes')) assert.equal(outcome, 'whole')
        assert.equal(cloud.vm(vmId)?.status?.state, isRunning ? 'running' : 'stopped')
        if (outcome === 'whole') assert.equal(copyOf(cloud)?.status?.state, 'running')
      })

  test('is a machine of its own, with the cards, disks and groups of its origin', async () => {
    await using cloud = await open()
    const vmId = await origin(cloud, true)
    await clone(cloud, vmId, { start: false })
    assert.equal(check(cloud, vmId), 'whole')
    const [web, copy] = [cloud.vm(vmId)?.spec, copyOf(cloud)?.spec]
    assert.ok(web && copy)
    for (const field of ['id', 'number', 'macAddress', 'address', 'generationId'] as const)
      assert.notEqual(copy[field], web[field], field)
    assert.deepEqual([copy.cpus, copy.memoryMiB, copy.guest], [web.cpus, web.memoryMiB, web.guest])
    assert.deepEqual(
      copy.disks.map(({ sizeMiB }) => sizeMiB),
      [128, 128],
    )
    assert.equal(copyOf(cloud)?.status?.state ?? 'stopped', 'stopped')
    const links = copy.disks.map(({ volumeId }) => cloud.agents.layers.links.get(volumeId)?.fromVolumeId)
    assert.deepEqual(
      links,
      web.disks.map(({ volumeId }) => volumeId),
    )
  })

  test('that is full shares nothing; one of a snapshot leaves the snapshot where it is', async () => {
    await using cloud = await open()
    const vmId = await origin(cloud, true)
    await clone(cloud, vmId, { isFull: true })
    assert.equal(check(cloud, vmId), 'whole')
    assert.equal(cloud.agents.layers.links.size, 0)
    const wish = { id: snapshotId, name: 'before', note: '', kind: 'disk', origin: 'user', setId: null }
    await cloud.begin('vm.snapshot', { vmId, wish: { ...wish, isProtected: false, freeze: 'never' } })
    await letItEnd(cloud)
    await clone(cloud, vmId, { name: 'older', isOwnSnapshot: false })
    assert.deepEqual([...cloud.state().snapshots.keys()], [snapshotId])
    assert.equal(
      [...cloud.state().vms.values()].some(({ spec }) => spec.name === 'older'),
      true,
    )
  })

  test('that is called off while it is copied leaves nothing', async () => {
    await using cloud = await open()
    const vmId = await origin(cloud, true)
    cloud.agents.takesMs.set('flattenVolume', 2_000)
    const whole = { vmId, name: 'copy', snapshotId, isOwnSnapshot: true, isFull: true, start: true, networkId: null }
    const taskId = await cloud.begin('vm.clone-disks', { ...whole, user: 'ann' })
    await cloud.clock.until('it is copied', () => cloud.agents.orders.some((order) => order.startsWith('linkMachine')))
    await cloud.clock.advance(500)
    void cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.equal(check(cloud, vmId), 'nothing')
  })

  test('keeps a machine that is off from being started while its disks are linked', async () => {
    await using cloud = await open()
    const vmId = await origin(cloud, false)
    cloud.agents.takesMs.set('linkDisks', 3_000)
    const whole = { vmId, name: 'copy', snapshotId, isOwnSnapshot: true, isFull: false, start: false, networkId: null }
    await cloud.begin('vm.clone-disks', { ...whole, user: 'ann' })
    await cloud.clock.until('it is held', () => cloud.vm(vmId)?.operation?.kind === 'clone')
    await cloud.change(vmId, { desired: 'running' })
    await letItEnd(cloud)
    assert.equal(check(cloud, vmId), 'whole')
    assert.equal(cloud.vm(vmId)?.status?.state, 'running')
  })
})

describe('a wish for a clone by disks', () => {
  const ask = async (cloud: Cloud, changes: object) =>
    beginDiskClone(
      {
        engine: cloud.engine(),
        agents: { ...cloud.agents.port, client: () => assert.fail('no stream'), close: async () => undefined },
      },
      'web',
      { body: { name: 'copy', full: false, start: false, ...changes }, caller: { name: 'ann', role: 'operator' } },
    )

  test('that can’t be is refused with the reason, before anything is taken', async () => {
    await using cloud = await open()
    await origin(cloud, true)
    await assert.rejects(ask(cloud, { name: 'web' }), { code: 'name-taken' })
    await assert.rejects(ask(cloud, { snapshot: 'never' }), { code: 'not-found' })
    await assert.rejects(ask(cloud, { network: 'never' }), { code: 'not-found' })
    await cloud.change(vmIdOf('web'), { disks: disks.map((disk) => ({ ...disk, format: 'raw' })) })
    await assert.rejects(ask(cloud, {}), (error) => error instanceof DialtoneError && error.code === 'image-unfit')
    assert.deepEqual(
      cloud.agents.orders.filter((order) => order.startsWith('snapshot')),
      [],
    )
  })

  test('that can be is carried out', async () => {
    await using cloud = await open()
    await origin(cloud, true)
    assert.deepEqual((await ask(cloud, { start: true })).names, ['copy'])
    await letItEnd(cloud)
    assert.equal(check(cloud, vmIdOf('web')), 'whole')
  })
})
