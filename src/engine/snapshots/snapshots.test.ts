/** Every order of every snapshot task fails, loses its answer, and is cut by a crash: in the end there is the whole, or nothing of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sharedId, vmIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { snapshotIdSchema, type TaskId, type VmId } from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { put } from '../leader.ts'
import { arrange, letItEnd, mishaps } from '../mishaps.fixture.ts'
import { keys } from '../state/keys.ts'
import type { TakeSnapshotJournal } from './take-snapshot-saga.ts'

const hosts = [{ name: 'ada' }, { name: 'bob' }]
const snap = (word: string) => snapshotIdSchema.parse(`snap-${word.repeat(8)}`)

function wish(changes: Partial<TakeSnapshotJournal['wish']> = {}): TakeSnapshotJournal['wish'] {
  const base = { id: snap('a'), name: 'before', note: '', kind: 'memory', origin: 'user', setId: null } as const
  return { ...base, isProtected: false, freeze: 'if-able', ...changes }
}

const recordOf = (cloud: Cloud, word = 'a'): Snapshot | undefined => cloud.state().snapshots.get(snap(word))

async function take(cloud: Cloud, vmId: VmId, changes: Partial<TakeSnapshotJournal['wish']> = {}): Promise<TaskId> {
  const taskId = await cloud.begin('vm.snapshot', { vmId, wish: wish(changes) })
  await letItEnd(cloud)
  return taskId
}

async function revert(cloud: Cloud, vmId: VmId, changes: object = {}): Promise<TaskId> {
  const journal = { vmId, snapshotId: snap('a'), keep: null, isPlanned: true, ...changes }
  const taskId = await cloud.begin('vm.revert', journal)
  await letItEnd(cloud)
  return taskId
}

async function stopped(cloud: Cloud): Promise<VmId> {
  const vmId = await cloud.createRunning('web')
  await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
  await cloud.clock.until('it is down', () => cloud.vm(vmId)?.status?.state === 'stopped', 10_000)
  return vmId
}

function checkAfter(cloud: Cloud, vmId: VmId): void {
  assert.equal(cloud.vm(vmId)?.operation, undefined, 'an operation is left open')
  assert.deepEqual(cloud.agents.layers.violations, [])
  assert.deepEqual(cloud.agents.twoWriters, [])
}

describe('vm.snapshot', () => {
  for (const mishap of mishaps) {
    test(`of a machine that runs, whose order ${mishap}, is there as a whole or not at all`, async () => {
      await using cloud = await startCloud({ hosts })
      const vmId = await cloud.createRunning('web')
      arrange(cloud, mishap, { call: 'snapshotMachine' })
      await take(cloud, vmId)
      assert.equal(recordOf(cloud) !== undefined, cloud.agents.layers.snapshots.has(snap('a')))
      if (mishap.startsWith('crashes')) assert.ok(recordOf(cloud))
      assert.equal(cloud.vm(vmId)?.spec.basedOnSnapshotId, recordOf(cloud)?.id ?? null)
      assert.equal(cloud.vm(vmId)?.status?.state, 'running')
      checkAfter(cloud, vmId)
    })

    test(`of a machine that is off, whose order ${mishap}, is there as a whole or not at all`, async () => {
      await using cloud = await startCloud({ hosts })
      const vmId = await stopped(cloud)
      arrange(cloud, mishap, { call: 'snapshotDisks' })
      await take(cloud, vmId, { kind: 'disk' })
      assert.equal(recordOf(cloud) !== undefined, cloud.agents.layers.snapshots.has(snap('a')))
      checkAfter(cloud, vmId)
      await cloud.change(vmId, { desired: 'running' })
      await cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running', 20_000)
      assert.ok((cloud.vm(vmId)?.placement?.epoch ?? 0) > (cloud.vm(vmId)?.placement?.spentEpoch ?? 0))
    })
  }

  test('keeps a machine that is off from being started while its disks are worked on', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await stopped(cloud)
    cloud.agents.takesMs.set('snapshotDisks', 3_000)
    await cloud.begin('vm.snapshot', { vmId, wish: wish({ kind: 'disk' }) })
    await cloud.clock.advance(1_000)
    await cloud.change(vmId, { desired: 'running' })
    await cloud.clock.advance(1_000)
    assert.deepEqual(cloud.agents.runningOn(vmId), [])
    await cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running', 20_000)
    assert.ok(recordOf(cloud))
    checkAfter(cloud, vmId)
  })

  test('that is cancelled leaves nothing', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    cloud.agents.takesMs.set('snapshotMachine', 500)
    const taskId = await cloud.begin('vm.snapshot', { vmId, wish: wish() })
    await cloud.clock.advance(100)
    await cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.deepEqual([cloud.state().snapshots.size, cloud.agents.layers.snapshots.size], [0, 0])
    checkAfter(cloud, vmId)
  })

  test('and a move exclude each other, with the reason', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    cloud.agents.takesMs.set('snapshotMachine', 1_000)
    await cloud.begin('vm.snapshot', { vmId, wish: wish() })
    await cloud.clock.advance(100)
    const move = await cloud.begin('vm.migrate', { vmId, wishedHostId: null, reason: 'test' })
    await letItEnd(cloud)
    assert.match(cloud.state().tasks.get(move)?.error?.message ?? '', /snapshot of it is being taken/)
    await cloud.begin('vm.migrate', { vmId, wishedHostId: null, reason: 'test' })
    await cloud.clock.advance(20)
    const late = await take(cloud, vmId, { id: snap('b'), name: 'late' })
    assert.match(cloud.state().tasks.get(late)?.error?.message ?? '', /being moved/)
    checkAfter(cloud, vmId)
  })
})

describe('vm.revert', () => {
  for (const mishap of mishaps) {
    test(`of a machine that runs, whose order ${mishap}, ends with it running on one of the two`, async () => {
      await using cloud = await startCloud({ hosts })
      const vmId = await cloud.createRunning('web')
      await take(cloud, vmId)
      arrange(cloud, mishap, { call: 'revertMachine' })
      const taskId = await revert(cloud, vmId)
      assert.equal(cloud.vm(vmId)?.status?.state, 'running')
      if (mishap.startsWith('crashes')) assert.equal(cloud.taskState(taskId), 'succeeded')
      checkAfter(cloud, vmId)
    })

    test(`of a machine that is off, whose order ${mishap}, ends with its disks closed until then`, async () => {
      await using cloud = await startCloud({ hosts })
      const vmId = await stopped(cloud)
      await take(cloud, vmId, { kind: 'disk' })
      arrange(cloud, mishap, { call: 'revertDisks' })
      const taskId = await revert(cloud, vmId)
      if (mishap.startsWith('crashes')) assert.equal(cloud.taskState(taskId), 'succeeded')
      assert.equal(cloud.vm(vmId)?.status?.state, 'stopped')
      checkAfter(cloud, vmId)
    })
  }

  test('of a machine that is off to a memory starts it from that memory, once', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    await take(cloud, vmId)
    await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
    await cloud.clock.until('it is down', () => cloud.vm(vmId)?.status?.state === 'stopped', 10_000)
    const taskId = await revert(cloud, vmId)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    const [machine] = [...cloud.agents.hosts.values()].flatMap(({ machines }) => machines.get(vmId) ?? [])
    assert.deepEqual([machine?.order.start, machine?.order.resumesFrom], ['resume', recordOf(cloud)?.imageId])
    assert.deepEqual([cloud.vm(vmId)?.status?.state, cloud.vm(vmId)?.spec.resumesFrom], ['running', null])
  })

  test('keeps the present as a snapshot when its owner wants that, and says where one is then', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    await take(cloud, vmId)
    await take(cloud, vmId, { id: snap('b'), name: 'later' })
    const keep = wish({ id: snap('c'), name: 'kept', kind: 'disk', origin: 'before-revert' })
    await revert(cloud, vmId, { keep })
    assert.equal(recordOf(cloud, 'c')?.parentId, snap('b'))
    assert.equal(cloud.vm(vmId)?.spec.basedOnSnapshotId, snap('a'))
  })
})

describe('vm.snapshot-delete', () => {
  for (const mishap of mishaps) {
    for (const call of ['removeSnapshot', 'tidyMachine'] as const) {
      test(`whose ${call} ${mishap} ends with nothing of it left`, async () => {
        await using cloud = await startCloud({ hosts })
        const vmId = await cloud.createRunning('web')
        await take(cloud, vmId)
        await take(cloud, vmId, { id: snap('b'), name: 'later' })
        arrange(cloud, mishap, { call })
        await cloud.begin('vm.snapshot-delete', { vmId, snapshotId: snap('a') })
        await letItEnd(cloud)
        assert.deepEqual([...cloud.state().snapshots.keys()], [snap('b')])
        assert.deepEqual([...cloud.agents.layers.snapshots.keys()], [snap('b')])
        assert.equal(recordOf(cloud, 'b')?.parentId, null)
        assert.equal(cloud.vm(vmId)?.spec.basedOnSnapshotId, snap('b'))
        checkAfter(cloud, vmId)
      })
    }
  }

  test('of a machine that is off merges its closed disks', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await stopped(cloud)
    await take(cloud, vmId, { kind: 'disk' })
    await cloud.begin('vm.snapshot-delete', { vmId, snapshotId: snap('a') })
    await letItEnd(cloud)
    assert.ok(cloud.agents.orders.some((order) => order.startsWith('tidyDisks')))
    checkAfter(cloud, vmId)
  })

  test('of a protected snapshot is refused, and the deletion of the VM takes its snapshots along', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    await take(cloud, vmId, { isProtected: true })
    const taskId = await cloud.begin('vm.snapshot-delete', { vmId, snapshotId: snap('a') })
    await letItEnd(cloud)
    assert.match(cloud.state().tasks.get(taskId)?.error?.message ?? '', /protected/)
    await cloud.delete(vmId)
    await letItEnd(cloud)
    assert.equal(cloud.state().snapshots.size, 0)
    assert.deepEqual(await cloud.leftovers(), [])
  })
})

describe('snapshot-set', () => {
  const disks = (name: string) => [
    { volumeId: volumeIdOf(name), storageId: sharedId, format: 'qcow2' as const, sizeMiB: 10 },
  ]
  const members = ['web', 'app'].map((name, index) => ({
    vmId: vmIdOf(name),
    name,
    wish: wish({ id: snap(index === 0 ? 'a' : 'b'), setId: 'set-1' }),
  }))

  test('takes all of them after all stand still, and lets them go on', async () => {
    await using cloud = await startCloud({ hosts })
    for (const { name } of members) await cloud.createRunning(name, { spec: { disks: disks(name) } })
    await cloud.begin('snapshot-set', { members })
    await letItEnd(cloud)
    assert.equal(cloud.state().snapshots.size, 2)
    const { orders } = cloud.agents
    const lastHold = orders.findIndex((_, index) => orders.slice(0, index).filter(isHold).length === 2)
    assert.ok(orders.findIndex((order) => order.startsWith('snapshotMachine')) >= lastHold)
  })

  for (const mishap of ['crashes before', 'crashes after'] as const) {
    for (const call of ['holdMachine', 'snapshotMachine'] as const) {
      test(`whose second ${call} ${mishap} is whole or not at all`, async () => {
        await using cloud = await startCloud({ hosts })
        for (const { name } of members) await cloud.createRunning(name, { spec: { disks: disks(name) } })
        arrange(cloud, mishap, { call, nth: 2 })
        const taskId = await cloud.begin('snapshot-set', { members })
        await letItEnd(cloud)
        const count = cloud.taskState(taskId) === 'succeeded' ? 2 : 0
        assert.deepEqual([cloud.state().snapshots.size, cloud.agents.layers.snapshots.size], [count, count])
        for (const { vmId } of members) checkAfter(cloud, vmId)
      })
    }
  }

  for (const call of ['holdMachine', 'snapshotMachine'] as const) {
    test(`is whole or not at all when one of them can't be: ${call}`, async () => {
      await using cloud = await startCloud({ hosts })
      for (const { name } of members) await cloud.createRunning(name, { spec: { disks: disks(name) } })
      let calls = 0
      cloud.agents.intercept = (seen, moment) => {
        if (seen === call && moment === 'before' && (calls += 1) === 2)
          throw new DialtoneError('storage-failed', 'not this one')
      }
      const taskId = await cloud.begin('snapshot-set', { members })
      await letItEnd(cloud)
      assert.equal(cloud.taskState(taskId), 'failed')
      assert.deepEqual([cloud.state().snapshots.size, cloud.agents.layers.snapshots.size], [0, 0])
      for (const { vmId } of members) checkAfter(cloud, vmId)
    })
  }
})

function isHold(order: string): boolean {
  return order.startsWith('holdMachine')
}

describe('a schedule', () => {
  test('takes at its pace, keeps as many as it says, and leaves those of its owner alone', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    await take(cloud, vmId, { name: 'mine' })
    const setAt = cloud.clock.wallTime().toISOString()
    const schedule = { everySeconds: 3600, keep: 3, kind: 'disk', setBy: 'test', setAt }
    await cloud.store.commit({ conditions: [], writes: [put(keys.vmSnapshotSchedule(vmId), schedule)] })
    for (let hour = 0; hour < 6; hour += 1) await cloud.clock.advance(3_600_000)
    await letItEnd(cloud)
    const origins = [...cloud.state().snapshots.values()].map(({ origin }) => origin).sort()
    assert.deepEqual(origins, ['schedule', 'schedule', 'schedule', 'user'])
  })
})

describe('a left operation', () => {
  test('whose task has ended is closed, and the machine is free', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await stopped(cloud)
    const openedAt = cloud.clock.wallTime().toISOString()
    const left = { taskId: 'task-gone2345', kind: 'revert', needsClosed: true, epoch: 9, openedAt }
    await cloud.store.commit({ conditions: [], writes: [put(keys.vmOperation(vmId), left)] })
    await cloud.change(vmId, { desired: 'running' })
    await cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running', 20_000)
    checkAfter(cloud, vmId)
  })
})
