/** Disks that come and go: whatever fails, is lost or crashes, a disk is the machine's as a whole or not at all, and nothing is left behind. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sharedId, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import type { Call } from '../fake-agents.fixture.ts'

type Mishap = 'fails once' | 'loses its answer once' | 'crashes before' | 'crashes after'
const mishaps: readonly Mishap[] = ['fails once', 'loses its answer once', 'crashes before', 'crashes after']
const hosts = [{ name: 'ada' }, { name: 'bob' }]
const disk = { volumeId: volumeIdOf('data'), storageId: sharedId, format: 'qcow2', sizeMiB: 64 } as const

function arrange(cloud: Cloud, mishap: Mishap, wanted: Call): void {
  let isOver = false
  const moment = mishap === 'fails once' || mishap === 'crashes before' ? 'before' : 'after'
  cloud.agents.intercept = (call, at) => {
    if (call !== wanted || at !== moment || isOver) return
    isOver = true
    if (mishap.startsWith('crashes')) cloud.crash()
    throw new DialtoneError('storage-failed', `${call} met with: ${mishap}`)
  }
}

async function letItEnd(cloud: Cloud): Promise<void> {
  await cloud.clock.advance(500)
  if (cloud.engine().leader.signal.aborted) {
    cloud.agents.intercept = () => undefined
    await cloud.clock.advance(300)
    await cloud.startEngine()
  }
  await cloud.clock.until(
    'every task has ended',
    () => [...cloud.state().tasks.values()].every((task) => task.endedAt !== null),
    400_000,
  )
  await cloud.clock.advance(3_000)
}

const volumesOf = (cloud: Cloud, vmId: VmId) => cloud.vm(vmId)?.spec.disks.map(({ volumeId }) => volumeId) ?? []

async function attach(cloud: Cloud, vmId: VmId): Promise<void> {
  await cloud.begin('vm.attach-disk', { vmId, disk, isNew: true })
  await letItEnd(cloud)
}

async function detach(cloud: Cloud, vmId: VmId): Promise<string | undefined> {
  const what = { kind: 'disk', volumeId: disk.volumeId, isToBeDeleted: true }
  const taskId = await cloud.begin('vm.detach-disk', { vmId, what })
  await letItEnd(cloud)
  return cloud.taskState(taskId)
}

describe('a disk that comes', () => {
  for (const mishap of mishaps)
    test(`is the machine’s as a whole or not at all when its making ${mishap}`, async () => {
      await using cloud = await startCloud({ hosts })
      const vmId = await cloud.createRunning('web')
      arrange(cloud, mishap, 'createVolume')
      await attach(cloud, vmId)
      const isIts = volumesOf(cloud, vmId).includes(disk.volumeId)
      assert.equal(cloud.state().volumes.has(disk.volumeId), isIts)
      assert.equal(cloud.agents.volumes.has(disk.volumeId), isIts)
      const has = cloud.vm(vmId)?.status?.hardware?.disks.some(({ volumeId }) => volumeId === disk.volumeId)
      assert.equal(has, isIts)
      assert.equal(cloud.vm(vmId)?.status?.state, 'running')
    })
})

describe('a disk that goes', () => {
  for (const mishap of mishaps)
    for (const call of ['configureMachine', 'deleteVolume'] as const)
      test(`is taken out and deleted when ${call} ${mishap}`, async () => {
        await using cloud = await startCloud({ hosts })
        const vmId = await cloud.createRunning('web')
        await attach(cloud, vmId)
        arrange(cloud, mishap, call)
        await detach(cloud, vmId)
        assert.equal(volumesOf(cloud, vmId).includes(disk.volumeId), false)
        assert.equal(cloud.state().volumes.has(disk.volumeId), false)
        assert.equal(cloud.agents.volumes.has(disk.volumeId), false)
        assert.equal(cloud.vm(vmId)?.status?.hardware?.disks.length, 1)
      })

  test('is there until a move that began meanwhile is over: the machine is claimed with it where it goes', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    await attach(cloud, vmId)
    const what = { kind: 'disk', volumeId: disk.volumeId, isToBeDeleted: true }
    const detaching = await cloud.begin('vm.detach-disk', { vmId, what })
    const has = () =>
      [...cloud.agents.hosts.values()].flatMap(({ machines }) => machines.get(vmId)?.hardware.disks ?? [])
    await cloud.clock.until('its guest has let go', () => has().length === 1, 2_000)
    assert(cloud.agents.volumes.has(disk.volumeId))
    const moving = await cloud.begin('vm.migrate', { vmId, wishedHostId: null, reason: 'test' })
    await cloud.clock.until('it moves', () => cloud.vm(vmId)?.migration !== undefined, 1_000)
    while (cloud.vm(vmId)?.migration !== undefined) {
      assert(cloud.agents.volumes.has(disk.volumeId), 'it was deleted under the move')
      await cloud.clock.advance(10)
    }
    await letItEnd(cloud)
    assert.deepEqual([cloud.taskState(moving), cloud.taskState(detaching)], ['succeeded', 'succeeded'])
    assert.equal(cloud.agents.volumes.has(disk.volumeId), false)
  })

  test('stays when its guest holds on to it, and the machine is what it was', async () => {
    await using cloud = await startCloud({ hosts })
    const vmId = await cloud.createRunning('web')
    await attach(cloud, vmId)
    for (const host of cloud.agents.hosts.values()) host.holdsOn = true
    assert.equal(await detach(cloud, vmId), 'failed')
    const [, kept] = cloud.vm(vmId)?.spec.disks ?? []
    assert.deepEqual([kept?.volumeId, kept?.isDetached ?? false], [disk.volumeId, false])
    assert.ok(cloud.state().volumes.has(disk.volumeId))
  })
})
