/** A store goes back to before a machine moved with its own disks, or to the middle of that: its disks are where its host has them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, sharedId, storageIdOf, volumeIdOf } from '../../model/cluster-state.fixture.ts'
import type { VmId } from '../../model/ids.ts'
import { type Cloud, copyOf, startCloud } from '../cloud.fixture.ts'

const disks = [storageIdOf('ada'), sharedId].map((storageId, index) => ({
  volumeId: volumeIdOf(`web${index}`),
  storageId,
  format: 'qcow2' as const,
  sizeMiB: 100,
}))

async function startMoving() {
  const cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }], hasLocalStorages: true })
  const vmId = await cloud.createRunning('web', { spec: { ha: false, boundToHostId: hostIdOf('ada'), disks } })
  const before = await copyOf(cloud.store, 'history-2')
  await cloud.begin('vm.migrate', { vmId, wishedHostId: hostIdOf('bob') })
  return { cloud, vmId, before }
}

async function goBackTo(cloud: Cloud, store: Cloud['store']): Promise<void> {
  cloud.crash()
  cloud.store = store
  await cloud.startEngine()
  await cloud.clock.advance(20_000)
}

/** Nothing of the machine is anywhere but on this host, and everybody knows. */
function assertLivesOn(cloud: Cloud, vmId: VmId, name: string): void {
  const { placement, spec, migration, status } = cloud.vm(vmId) ?? {}
  assert.deepEqual([cloud.agents.twoWriters, cloud.agents.disks.troubles], [[], []])
  assert.deepEqual([cloud.agents.runningOn(vmId), status?.state, migration], [[name], 'running', undefined])
  assert.deepEqual([placement?.hostId, spec?.boundToHostId], [hostIdOf(name), hostIdOf(name)])
  assert.equal(cloud.state().volumes.get(volumeIdOf('web0'))?.storageId, storageIdOf(name))
  const places = [`${sharedId} ${volumeIdOf('web1')}`, `${storageIdOf(name)} ${volumeIdOf('web0')}`]
  assert.deepEqual(cloud.agents.disks.places(), places.toSorted())
  assert.equal(cloud.state().discards.size, 0)
}

const hasMoved = (cloud: Cloud, vmId: VmId) =>
  cloud.vm(vmId)?.placement?.hostId === hostIdOf('bob') &&
  cloud.vm(vmId)?.migration === undefined &&
  cloud.state().discards.size === 0

describe('over a store that went back, a machine that has moved with its own disks', () => {
  test('goes on where it is, undisturbed, and the store learns where that is', async () => {
    const { cloud, vmId, before } = await startMoving()
    await cloud.clock.until('it has moved', () => hasMoved(cloud, vmId))
    const epoch = cloud.vm(vmId)?.placement?.epoch
    const orders = cloud.agents.orders.length
    await goBackTo(cloud, before)
    assertLivesOn(cloud, vmId, 'bob')
    assert.equal(cloud.vm(vmId)?.placement?.epoch, epoch)
    const since = cloud.agents.orders.slice(orders).filter((order) => !order.startsWith('deleteVolume'))
    assert.deepEqual(since, [])
    await cloud[Symbol.asyncDispose]()
  })

  test('and whose move the store has as begun goes on where it is, too', async () => {
    const { cloud, vmId } = await startMoving()
    await cloud.clock.until('it is being sent', () => cloud.agents.orders.some((order) => order.startsWith('depart')))
    const amid = await copyOf(cloud.store, 'history-2')
    await cloud.clock.until('it has moved', () => hasMoved(cloud, vmId))
    await goBackTo(cloud, amid)
    assertLivesOn(cloud, vmId, 'bob')
    await cloud[Symbol.asyncDispose]()
  })

  test('and whose host has booted since starts there anew, with its disks', async () => {
    const { cloud, vmId, before } = await startMoving()
    await cloud.clock.until('it has moved', () => hasMoved(cloud, vmId))
    const epoch = cloud.vm(vmId)?.placement?.epoch ?? 0
    cloud.crash()
    cloud.agents.reboot('bob')
    await goBackTo(cloud, before)
    assertLivesOn(cloud, vmId, 'bob')
    assert.ok((cloud.vm(vmId)?.placement?.epoch ?? 0) > epoch)
    await cloud[Symbol.asyncDispose]()
  })

  test('whose move the store has as begun, and whose host has booted since, starts there anew, too', async () => {
    const { cloud, vmId } = await startMoving()
    await cloud.clock.until('it is being sent', () => cloud.agents.orders.some((order) => order.startsWith('depart')))
    const amid = await copyOf(cloud.store, 'history-2')
    await cloud.clock.until('it has moved', () => hasMoved(cloud, vmId))
    cloud.crash()
    cloud.agents.reboot('bob')
    await goBackTo(cloud, amid)
    assertLivesOn(cloud, vmId, 'bob')
    await cloud[Symbol.asyncDispose]()
  })

  test('and was stopped there is started there when its owner wants that', async () => {
    const { cloud, vmId, before } = await startMoving()
    await cloud.clock.until('it has moved', () => hasMoved(cloud, vmId))
    await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
    await cloud.clock.until('it has stopped', () => cloud.agents.runningOn(vmId).length === 0)
    await goBackTo(cloud, before)
    assertLivesOn(cloud, vmId, 'bob')
    await cloud[Symbol.asyncDispose]()
  })

  test('that was on its way goes on at its source, and its copy goes', async () => {
    const { cloud, vmId, before } = await startMoving()
    await cloud.clock.until('it is being sent', () => cloud.agents.orders.some((order) => order.startsWith('depart')))
    await goBackTo(cloud, before)
    assertLivesOn(cloud, vmId, 'ada')
    await cloud[Symbol.asyncDispose]()
  })
})
