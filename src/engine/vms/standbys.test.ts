/** A machine's image is kept where it would go, and it goes there: under virtual time, against fake hosts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, imageIdOf, makeImage, type VmChanges } from '../../model/cluster-state.fixture.ts'
import type { VmId } from '../../model/ids.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import type { Machine } from '../fake-host.fixture.ts'

const three = { hosts: ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true })) }
const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const warm: VmChanges = { spec: { recovery: { mode: 'warm' }, probe } }

function machineOf(cloud: Cloud, vmId: VmId): Machine {
  const found = [...cloud.agents.hosts.values()].flatMap(({ machines }) => machines.get(vmId) ?? [])[0]
  if (found === undefined) throw new Error(`${vmId} is on no host`)
  return found
}

/** It runs, has an image, and another host keeps that. */
async function withStandby(cloud: Cloud, changes = warm): Promise<VmId> {
  const vmId = await cloud.createRunning('web', changes)
  machineOf(cloud, vmId).image = makeImage('one')
  await cloud.clock.until('another host keeps its image', () => keepers(cloud, vmId).length === 1)
  return vmId
}
const keepers = (cloud: Cloud, vmId: VmId) =>
  [...cloud.agents.hosts.values()].filter(({ standbys }) => standbys.has(vmId)).map(({ spec }) => spec.name)
const homeOf = (cloud: Cloud, vmId: VmId) => cloud.agents.runningOn(vmId)[0] ?? ''
const count = (cloud: Cloud, order: string) => cloud.agents.orders.filter((seen) => seen.startsWith(order)).length

describe('the image of a machine', () => {
  test('is kept on one other host, which is told once', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    await cloud.clock.advance(20_000)
    const standby = cloud.vm(vmId)?.standby
    assert.deepEqual(keepers(cloud, vmId).map(hostIdOf), [standby?.hostId])
    assert.notEqual(keepers(cloud, vmId)[0], homeOf(cloud, vmId))
    assert.equal(count(cloud, 'keepStandby'), 1)
    assert.equal(cloud.engine().standbyReport(vmId)?.state, 'ready')
  })

  test('is kept there anew when it has a newer one, and when the agent there has begun anew', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    const [keeper = ''] = keepers(cloud, vmId)
    machineOf(cloud, vmId).image = makeImage('two')
    await cloud.clock.until('it has the newer', () => cloud.agents.host(keeper).standbys.get(vmId) === imageIdOf('two'))
    cloud.agents.restartAgent(keeper)
    await cloud.clock.until('it keeps it again', () => keepers(cloud, vmId).length === 1)
    assert.deepEqual(keepers(cloud, vmId), [keeper])
    assert.equal(cloud.vm(vmId)?.standby?.session, cloud.agents.host(keeper).session)
  })

  test('goes to a third host when the chosen one dies; that one gives its copy up when it is back', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    const [keeper = ''] = keepers(cloud, vmId)
    cloud.agents.host(keeper).isCut = true
    await cloud.clock.until('another is chosen', () => cloud.vm(vmId)?.standby?.hostId !== hostIdOf(keeper))
    cloud.agents.host(keeper).isCut = false
    await cloud.clock.until(
      'one keeps it',
      () => keepers(cloud, vmId).length === 1 && !keepers(cloud, vmId).includes(keeper),
    )
  })

  test('is given up when the machine is stopped, deleted, or to recover by booting', async () => {
    for (const end of ['stop', 'delete', 'boot'] as const) {
      await using cloud = await startCloud(three)
      const vmId = await withStandby(cloud)
      if (end === 'stop') await cloud.change(vmId, { desired: 'stopped' })
      else if (end === 'boot') await cloud.change(vmId, { recovery: { mode: 'boot' } })
      else await cloud.delete(vmId)
      await cloud.clock.until(`nobody keeps it after: ${end}`, () => keepers(cloud, vmId).length === 0)
      assert.equal(cloud.vm(vmId)?.standby, undefined)
    }
  })

  test('is known to the next controller: it chooses and orders nothing anew', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    const before = cloud.vm(vmId)?.standby
    cloud.crash()
    await cloud.clock.advance(300)
    await cloud.startEngine()
    await cloud.clock.advance(10_000)
    assert.deepEqual(cloud.vm(vmId)?.standby, before)
    assert.equal(count(cloud, 'keepStandby'), 1)
  })
})

describe('a machine whose host dies', () => {
  test('is resumed on the host that keeps its image, and gets a standby again', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    const [keeper = ''] = keepers(cloud, vmId)
    const home = homeOf(cloud, vmId)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it runs there', () => cloud.agents.runningOn(vmId).includes(keeper))
    assert.equal(cloud.vm(vmId)?.placement?.start, 'resume')
    assert.equal(machineOf(cloud, vmId).order.start, 'resume')
    assert.deepEqual(cloud.agents.twoWriters, [])
    machineOf(cloud, vmId).image = makeImage('two')
    await cloud.clock.until('a third keeps it', () => keepers(cloud, vmId).length === 1)
    assert.notEqual(keepers(cloud, vmId)[0], home)
  })

  test('finds its image still there when the order to start takes long to arrive', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    const [keeper = ''] = keepers(cloud, vmId)
    cloud.agents.takesMs.set('startMachine', 4_000)
    cloud.agents.host(homeOf(cloud, vmId)).isCut = true
    await cloud.clock.until('it is placed there', () => cloud.vm(vmId)?.placement?.hostId === hostIdOf(keeper))
    let found: boolean | undefined
    cloud.agents.intercept = (call, moment, host) => {
      if (call === 'startMachine' && moment === 'before') found ??= host.standbys.has(vmId)
    }
    await cloud.clock.until('it runs there', () => cloud.agents.runningOn(vmId).includes(keeper))
    assert.equal(found, true)
    assert.equal(count(cloud, 'dropStandby'), 0)
  })

  test('is resumed twice at the most, then it boots', async () => {
    await using cloud = await startCloud(three)
    const vmId = await withStandby(cloud)
    const kinds: string[] = []
    const home = homeOf(cloud, vmId)
    for (const host of cloud.agents.hosts.values()) host.failsStarts = host.spec.name !== home
    cloud.agents.intercept = (call, moment) => {
      const start = cloud.vm(vmId)?.placement?.start
      if (call === 'startMachine' && moment === 'after' && start !== undefined) kinds.push(start)
    }
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it was tried three times', () => kinds.length >= 3, 120_000)
    assert.deepEqual(kinds.slice(0, 3), ['resume', 'resume', 'boot'])
  })
})

describe('a machine whose ladder asks for another host', () => {
  for (const [how, answersAfterMs] of [
    ['at once', 2],
    ['and its host has told that it is gone before it answers', 700],
  ] as const)
    test(`is resumed there when it was released ${how}`, async () => {
      await using cloud = await startCloud(three)
      const vmId = await withStandby(cloud)
      const [keeper = ''] = keepers(cloud, vmId)
      const home = homeOf(cloud, vmId)
      const machine = machineOf(cloud, vmId)
      machine.phase = 'failed'
      machine.wantsOtherHost = true
      cloud.agents.answersAfterMs.set('releaseMachine', answersAfterMs)
      await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(vmId).length === 1, 10_000)
      assert.deepEqual([homeOf(cloud, vmId), cloud.vm(vmId)?.placement?.start], [keeper, 'resume'])
      assert.equal(cloud.vm(vmId)?.placement?.proof?.kind, 'released')
      assert.equal(cloud.vm(vmId)?.placement?.lastRecovery?.fromHostId, hostIdOf(home))
    })
})

describe('a change of how a machine recovers', () => {
  test('is told to its agent once, without a new start, and once more to an agent that has lost it', async () => {
    await using cloud = await startCloud(three)
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    await cloud.change(vmId, { recovery: { mode: 'warm' } })
    await cloud.clock.advance(10_000)
    assert.equal(count(cloud, 'configureMachine'), 1)
    assert.deepEqual(machineOf(cloud, vmId).order.recovery, { mode: 'warm' })
    const machine = machineOf(cloud, vmId)
    machine.order = { ...machine.order, recovery: { mode: 'boot' } }
    cloud.agents.restartAgent(homeOf(cloud, vmId))
    await cloud.clock.advance(10_000)
    assert.equal(count(cloud, 'configureMachine'), 2)
    assert.equal(cloud.vm(vmId)?.placement?.epoch, 1)
  })
})
