/** Machines are created, started, stopped, and fail to start: under virtual time, against fake hosts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leaseProofAfterMs } from '../../model/protection/bounds.ts'
import { defaultTimings } from '../../model/timings.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'

const two = { hosts: [{ name: 'ada' }, { name: 'bob' }] }
const stateOf = (cloud: Cloud, vmId: Parameters<Cloud['vm']>[0]) => cloud.vm(vmId)?.status?.state
const startsOn = (cloud: Cloud, host: string) =>
  cloud.agents.orders.filter((order) => order === `startMachine ${host}`).length

test('a VM that is created gets its disks, becomes live and runs, and its task succeeds', async () => {
  await using cloud = await startCloud(two)
  const { vmId, taskId } = await cloud.create('web')
  await cloud.clock.until('the task ends', () => cloud.taskState(taskId) !== 'running')
  assert.equal(cloud.taskState(taskId), 'succeeded')
  assert.equal(stateOf(cloud, vmId), 'running')
  assert.equal(cloud.vm(vmId)?.spec.lifecycle, 'live')
  assert.equal(cloud.agents.volumes.size, 1)
  assert.equal(cloud.agents.runningOn(vmId).length, 1)
})

test('an order that was accepted is not given again while the host has not reported', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  await cloud.createRunning('web')
  assert.ok(startsOn(cloud, 'ada') <= 2, `it was ordered ${startsOn(cloud, 'ada')} times`)
})

test('a guest that switches itself off stays off, and starts again when its owner wants it', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  cloud.agents.shutDownGuest(home, vmId)
  await cloud.clock.until('it is accepted', () => cloud.vm(vmId)?.spec.desired === 'stopped')
  assert.equal(stateOf(cloud, vmId), 'stopped')
  await cloud.clock.advance(3_000)
  assert.deepEqual(cloud.agents.runningOn(vmId), [])
  await cloud.change(vmId, { desired: 'running' })
  await cloud.clock.until('it runs', () => stateOf(cloud, vmId) === 'running')
  assert.equal(cloud.vm(vmId)?.placement?.epoch, 2)
})

test('a wish to stop is carried out, and a wish to start after it', async () => {
  for (const stopMode of ['shutdown', 'kill'] as const) {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const vmId = await cloud.createRunning('web')
    await cloud.change(vmId, { desired: 'stopped', stopMode })
    await cloud.clock.until('it is stopped', () => stateOf(cloud, vmId) === 'stopped')
    await cloud.clock.advance(1_000)
    assert.deepEqual(cloud.agents.runningOn(vmId), [])
    await cloud.change(vmId, { desired: 'running' })
    await cloud.clock.until(`it runs after ${stopMode}`, () => cloud.agents.runningOn(vmId).length === 1, 10_000)
    assert.equal(cloud.vm(vmId)?.placement?.epoch, 2)
  }
})

test('a power button is pressed once', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  const vmId = await cloud.createRunning('web')
  await cloud.change(vmId, { desired: 'stopped' })
  await cloud.clock.until('it is stopped', () => stateOf(cloud, vmId) === 'stopped')
  const presses = cloud.agents.orders.filter((order) => order === 'stopMachine ada').length
  assert.ok(presses <= 1, `it was pressed ${presses} times`)
})

test('a machine is paused and resumed as its owner wants', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('web')
  await cloud.change(vmId, { desired: 'paused' })
  await cloud.clock.until('it is paused', () => stateOf(cloud, vmId) === 'paused')
  await cloud.change(vmId, { desired: 'running' })
  await cloud.clock.until('it runs', () => stateOf(cloud, vmId) === 'running')
  assert.equal(cloud.vm(vmId)?.placement?.epoch, 1)
})

describe('a start that fails', () => {
  test('is tried again after a pause that grows, and after two failures on another host, which the first released', async () => {
    await using cloud = await startCloud(two)
    cloud.agents.host('ada').failsStarts = true
    const { vmId } = await cloud.create('web')
    await cloud.clock.until('it runs on bob', () => cloud.agents.runningOn(vmId).includes('bob'), 30_000)
    assert.equal(cloud.vm(vmId)?.placement?.proof?.kind, 'released')
    assert.equal(cloud.vm(vmId)?.placement?.epoch, 3)
    assert.ok(cloud.agents.orders.includes('releaseMachine ada'))
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('is not hammered: after a minute of failures it has been tried a few times', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    cloud.agents.host('ada').failsStarts = true
    const { vmId } = await cloud.create('web')
    await cloud.clock.advance(60_000)
    const epoch = cloud.vm(vmId)?.placement?.epoch ?? 0
    assert.ok(epoch >= 2 && epoch < 10, `it was tried ${epoch} times`)
  })

  test('is tried on the same host again when no other takes it, and succeeds when the cause is gone', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    cloud.agents.host('ada').failsStarts = true
    const { vmId } = await cloud.create('web')
    await cloud.clock.advance(20_000)
    cloud.agents.host('ada').failsStarts = false
    await cloud.clock.until('it runs', () => cloud.agents.runningOn(vmId).length === 1, 120_000)
  })

  test('whose release got an answer that was lost goes on all the same', async () => {
    await using cloud = await startCloud(two)
    cloud.agents.host('ada').failsStarts = true
    let lost = 0
    cloud.agents.intercept = (call, moment) => {
      if (call !== 'releaseMachine' || moment !== 'after' || lost > 0) return
      lost += 1
      throw new Error('the answer was lost')
    }
    const { vmId } = await cloud.create('web')
    await cloud.clock.until('it runs on bob', () => cloud.agents.runningOn(vmId).includes('bob'), 30_000)
    assert.equal(lost, 1)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })
})

test('a machine whose start was refused once is ordered again', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  let refusals = 0
  cloud.agents.intercept = (call, moment) => {
    if (call !== 'startMachine' || moment !== 'before' || refusals > 2) return
    refusals += 1
    throw new Error('not now')
  }
  const vmId = await cloud.createRunning('web')
  assert.equal(cloud.vm(vmId)?.placement?.epoch, 1)
})

test('machines start in their start order: a lower one runs before a higher one is ordered', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  const vms = await Promise.all(
    ['web', 'app', 'sql'].map((name, index) => cloud.createRunning(name, { spec: { startOrder: 30 - 10 * index } })),
  )
  await cloud.clock.advance(1_000)
  cloud.agents.reboot('ada')
  const order: string[] = []
  await cloud.clock.until('all run', () => {
    for (const vmId of vms) {
      const name = cloud.vm(vmId)?.spec.name ?? ''
      if (cloud.agents.runningOn(vmId).length === 1 && !order.includes(name)) order.push(name)
    }
    return order.length === 3
  })
  assert.deepEqual(order, ['sql', 'app', 'web'])
})

test('a machine for which there is no room waits with the verdict of each host, and starts when there is room', async () => {
  await using cloud = await startCloud(two)
  const { vmId } = await cloud.create('big', { spec: { memoryMiB: 8_000 } })
  await cloud.clock.advance(2_000)
  assert.equal(stateOf(cloud, vmId), 'waiting')
  assert.match(cloud.vm(vmId)?.status?.detail ?? '', /ada: needs 8048 MiB.*bob: needs 8048 MiB/)
  cloud.agents.host('bob').memoryMiB = 16_000
  await cloud.clock.until('it runs', () => cloud.agents.runningOn(vmId).includes('bob'))
})

test('a machine that had stopped starts elsewhere while its host is silent, also when it has to wait for room first', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  const other = cloud.agents.host(home === 'ada' ? 'bob' : 'ada')
  await cloud.change(vmId, { desired: 'stopped' })
  await cloud.clock.until('it is stopped', () => stateOf(cloud, vmId) === 'stopped')
  cloud.agents.host(home).isCut = true
  other.memoryMiB = 100
  await cloud.clock.until('the host is suspected', () => cloud.host(home).status.state === 'suspect')
  await cloud.change(vmId, { desired: 'running' })
  await cloud.clock.advance(1_000)
  other.memoryMiB = 4096
  await cloud.clock.until('it runs there', () => cloud.agents.runningOn(vmId).includes(other.spec.name))
  assert.deepEqual(cloud.agents.twoWriters, [])
})

test('a machine without HA stays where it is while its host is silent, and is unknown', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('plain', { spec: { ha: false } })
  const [home = ''] = cloud.agents.runningOn(vmId)
  cloud.agents.host(home).isCut = true
  await cloud.clock.advance(5 * leaseProofAfterMs(defaultTimings))
  assert.equal(stateOf(cloud, vmId), 'unknown')
  assert.deepEqual(cloud.agents.runningOn(vmId), [home])
  cloud.agents.host(home).isCut = false
  await cloud.clock.until('it is seen running', () => stateOf(cloud, vmId) === 'running')
  assert.equal(cloud.vm(vmId)?.placement?.epoch, 1)
})
