/** Every order of a volume's move fails, loses its answer, and is cut by a crash: in the end it is in one place, with all that was written. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, sharedId, storageIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import type { Call } from '../fake-agents.fixture.ts'
import { arrange, letItEnd, mishaps } from '../mishaps.fixture.ts'

const orders = {
  running: ['deleteVolume', 'createVolume', 'mirrorVolume', 'holdVolume', 'switchVolume'],
  stopped: ['deleteVolume', 'createVolume', 'copyVolume'],
} as const satisfies Record<string, readonly Call[]>
type State = keyof typeof orders

const volumeId = volumeIdOf('web')
const [from, to] = [storageIdOf('ada'), sharedId]
const ada = hostIdOf('ada')

async function startWith(state: State): Promise<{ readonly cloud: Cloud; readonly vmId: VmId }> {
  const cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }], hasLocalStorages: true })
  const vmId = await cloud.createRunning('web', { storage: from, spec: { ha: false, boundToHostId: ada } })
  if (state === 'running') return { cloud, vmId }
  await cloud.change(vmId, { desired: 'stopped' })
  await cloud.clock.until('it is stopped', () => cloud.vm(vmId)?.status?.state === 'stopped', 10_000)
  return { cloud, vmId }
}

const move = (cloud: Cloud): Promise<TaskId> => cloud.begin('volume.move', { volumeId, toStorageId: to })

/** It lies where the store says, nowhere else, nothing is open, and its machine can use it. */
async function assertInOnePlace(cloud: Cloud, vmId: VmId, state: State): Promise<string> {
  const volume = cloud.state().volumes.get(volumeId)
  const { spec } = cloud.vm(vmId) ?? {}
  assert.deepEqual([volume?.move, cloud.state().discards.size], [null, 0])
  assert.deepEqual(cloud.agents.disks.places(), [`${volume?.storageId} ${volumeId}`])
  assert.equal(spec?.disks[0]?.storageId, volume?.storageId)
  assert.equal(spec?.boundToHostId, volume?.storageId === to ? null : ada)
  if (state === 'stopped') await cloud.change(vmId, { desired: 'running' })
  await cloud.clock.until('it runs', () => cloud.agents.runningOn(vmId).length === 1, 10_000)
  assert.deepEqual([cloud.agents.disks.troubles, cloud.agents.twoWriters], [[], []])
  return volume?.storageId ?? ''
}

describe('volume.move', () => {
  for (const state of ['running', 'stopped'] as const) {
    test(`of a ${state} machine changes where the volume is, and leaves nothing behind`, async () => {
      const { cloud, vmId } = await startWith(state)
      const taskId = await move(cloud)
      await letItEnd(cloud)
      assert.equal(cloud.taskState(taskId), 'succeeded')
      assert.equal(await assertInOnePlace(cloud, vmId, state), to)
      assert.equal(cloud.state().tasks.get(taskId)?.message, 'moved from local to shared')
      await cloud[Symbol.asyncDispose]()
    })

    for (const code of ['storage-failed', 'host-unreachable'] as const) {
      for (const mishap of mishaps) {
        for (const call of orders[state]) {
          test(`of a ${state} machine whose ${call} ${mishap} (${code}) ends in one place with everything`, async () => {
            const { cloud, vmId } = await startWith(state)
            arrange(cloud, mishap, { call, code })
            const taskId = await move(cloud)
            await letItEnd(cloud)
            const place = await assertInOnePlace(cloud, vmId, state)
            assert.equal(place, cloud.taskState(taskId) === 'succeeded' ? to : from)
            await cloud[Symbol.asyncDispose]()
          })
        }
      }
    }

    test(`of a ${state} machine that is cancelled leaves it where it was`, async () => {
      const { cloud, vmId } = await startWith(state)
      const taskId = await move(cloud)
      const isMade = () => cloud.agents.orders.some((order) => order.startsWith('createVolume') && isOpen(cloud))
      await cloud.clock.until('the copy is made', isMade)
      await cloud.engine().tasks.cancel(taskId)
      await letItEnd(cloud)
      assert.equal(cloud.taskState(taskId), 'cancelled')
      assert.equal(await assertInOnePlace(cloud, vmId, state), from)
      await cloud[Symbol.asyncDispose]()
    })

    test(`of a ${state} machine that is deleted meanwhile leaves nothing`, async () => {
      const { cloud, vmId } = await startWith(state)
      await move(cloud)
      await cloud.clock.until('it is open', () => isOpen(cloud))
      await cloud.delete(vmId)
      await letItEnd(cloud)
      assert.deepEqual([await cloud.leftovers(), cloud.agents.disks.places()], [[], []])
      await cloud[Symbol.asyncDispose]()
    })
  }

  test('of a machine whose agent is restarted while it stands still ends with it running, on the disk that the store names', async () => {
    const { cloud, vmId } = await startWith('running')
    let isRestarted = false
    cloud.agents.intercept = (call, at) => {
      if (call !== 'holdVolume' || at !== 'after' || isRestarted) return
      isRestarted = true
      cloud.agents.restartAgent('ada')
    }
    await move(cloud)
    await letItEnd(cloud)
    assert.equal(isRestarted, true)
    await assertInOnePlace(cloud, vmId, 'running')
    await cloud[Symbol.asyncDispose]()
  })

  test('keeps a stopped machine from starting until it is over', async () => {
    const { cloud, vmId } = await startWith('stopped')
    cloud.agents.takesMs.set('copyVolume', 5_000)
    await move(cloud)
    await cloud.clock.until('it is open', () => isOpen(cloud))
    await cloud.change(vmId, { desired: 'running' })
    await cloud.clock.advance(2_000)
    assert.deepEqual(cloud.agents.runningOn(vmId), [])
    await letItEnd(cloud)
    assert.equal(await assertInOnePlace(cloud, vmId, 'running'), to)
    await cloud[Symbol.asyncDispose]()
  })

  test('is refused where it makes no sense, with what can be done', async () => {
    const { cloud, vmId } = await startWith('running')
    const refusal = async (toStorageId: typeof from) => {
      const taskId = await cloud.begin('volume.move', { volumeId, toStorageId })
      await letItEnd(cloud)
      return cloud.state().tasks.get(taskId)?.error?.message ?? ''
    }
    assert.match(await refusal(from), /is on local already/)
    assert.match(await refusal(storageIdOf('bob')), /ada doesn't have the storage local; .*dialtone vm migrate web/)
    await cloud.change(vmId, { desired: 'paused' })
    await cloud.clock.advance(2_000)
    assert.match(await refusal(to), /web is paused: its volumes move while it runs, or while it is stopped/)
    await cloud[Symbol.asyncDispose]()
  })
})

const isOpen = (cloud: Cloud) => cloud.state().volumes.get(volumeId)?.move?.phase === 'copying'
