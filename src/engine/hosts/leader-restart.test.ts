/** The controller dies and another begins its term over the same store, or over an older one. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import { newLeaderWaitsMs } from '../../model/protection/bounds.ts'
import { defaultTimings } from '../../model/timings.ts'
import { type Cloud, copyOf, startCloud } from '../cloud.fixture.ts'

const waitsMs = newLeaderWaitsMs(defaultTimings)

const homeOf = (cloud: Cloud, name: string) => cloud.agents.runningOn(vmIdOf(name))[0] ?? ''

describe('a new leader', () => {
  test('leaves everything that runs alone', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    await cloud.createRunning('web')
    const home = homeOf(cloud, 'web')
    const before = cloud.agents.orders.length
    cloud.crash()
    await cloud.clock.advance(400)
    await cloud.startEngine()
    await cloud.clock.advance(10_000)
    assert.equal(cloud.agents.orders.length, before)
    assert.deepEqual(cloud.agents.runningOn(vmIdOf('web')), [home])
    assert.equal(cloud.vm(vmIdOf('web'))?.placement?.epoch, 1)
  })

  test('knows from the store everything that its predecessor knew, placements above all', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    await cloud.createRunning('web')
    await cloud.createRunning('app')
    const before = cloud.state()
    cloud.crash()
    await cloud.startEngine()
    assert.deepEqual(cloud.state().vms, before.vms)
    assert.deepEqual(cloud.state().hosts, before.hosts)
    await cloud.clock.advance(5_000)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('waits before it judges a host that is silent, and counts the silence from its own beginning', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    await cloud.createRunning('web')
    const home = homeOf(cloud, 'web')
    cloud.crash()
    cloud.agents.host(home).isCut = true
    await cloud.startEngine()
    await cloud.clock.advance(waitsMs - 100)
    assert.equal(cloud.host(home).status.state, 'online')
    assert.equal(cloud.agents.host(home).isOff, false)
    await cloud.clock.until('it runs elsewhere', () => homeOf(cloud, 'web') !== home && homeOf(cloud, 'web') !== '')
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('goes on with the fencing that its predecessor began: the host has to let go first', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    await cloud.createRunning('web')
    const home = homeOf(cloud, 'web')
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('a pill stands', () => cloud.agents.pills.size === 1)
    cloud.crash()
    await cloud.startEngine()
    cloud.agents.host(home).isCut = false
    await cloud.clock.until('it is admitted', () => cloud.host(home).status.state === 'online')
    await cloud.clock.until('the machine runs', () => cloud.agents.runningOn(vmIdOf('web')).length === 1)
    assert.equal(cloud.agents.pills.size, 0)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('that hears from nobody fences nobody, though its predecessor suspected a host', async () => {
    const hosts = ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true }))
    await using cloud = await startCloud({ hosts })
    await cloud.createRunning('web')
    const home = homeOf(cloud, 'web')
    cloud.agents.host(home).isCut = true
    cloud.agents.fences.refuses = true
    await cloud.clock.until('it is suspected', () => cloud.host(home).status.state === 'suspect')
    await cloud.clock.advance(500)
    cloud.crash()
    for (const host of cloud.agents.hosts.values()) host.isCut = true
    cloud.agents.fences.refuses = false
    await cloud.startEngine()
    await cloud.clock.advance(30_000)
    assert.ok([...cloud.agents.hosts.values()].every((host) => !host.isOff))
  })

  test('has the next term, and its predecessor acknowledges nothing any more', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
    const old = cloud.engine()
    const received = cloud.agents.receive
    cloud.crash()
    const next = await cloud.startEngine()
    assert.equal(next.leader.term, old.leader.term + 1)
    const heartbeats: unknown[] = []
    cloud.agents.receive = async (hostId, heartbeat) => {
      const answer = await received?.(hostId, heartbeat).catch(() => undefined)
      if (answer !== undefined) heartbeats.push(answer.verdict)
      return next.receiveHeartbeat(hostId, heartbeat)
    }
    await cloud.clock.advance(1_000)
    assert.ok(!heartbeats.includes('admitted'), 'the old leader extended a lease')
  })
})

describe('over a store that went back in time', () => {
  test('nothing is started until every host has reported, and epochs go on above all that were ever given', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }, { name: 'cyd' }] })
    const backup = await copyOf(cloud.store, 'history-2')
    await cloud.createRunning('web')
    const home = homeOf(cloud, 'web')
    for (let epoch = 1; epoch < 4; epoch += 1) {
      // Each start after a shutdown by the guest takes another epoch.
      cloud.agents.shutDownGuest(home, vmIdOf('web'))
      await cloud.clock.until('it is stopped', () => cloud.vm(vmIdOf('web'))?.status?.state === 'stopped')
      await cloud.change(vmIdOf('web'), { desired: 'running' })
      await cloud.clock.until('it runs', () => cloud.vm(vmIdOf('web'))?.status?.state === 'running')
    }
    const highest = cloud.vm(vmIdOf('web'))?.placement?.epoch ?? 0
    assert.ok(highest >= 4)
    cloud.crash()
    const missing = cloud.agents.host(['ada', 'bob', 'cyd'].find((name) => name !== home) ?? '')
    missing.isCut = true
    cloud.store = backup
    await cloud.startEngine()
    await cloud.clock.advance(500)
    assert.match(cloud.engine().holds().join(), new RegExp(missing.spec.name))
    const { vmId } = await cloud.create('new')
    await cloud.clock.advance(500)
    assert.equal(cloud.vm(vmId)?.placement, undefined)
    missing.isCut = false
    await cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running')
    assert.ok((cloud.vm(vmId)?.placement?.epoch ?? 0) > highest)
    assert.deepEqual(cloud.engine().holds(), [])
  })

  test('orders are given under a term above all that were heard of, whatever the store knows', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const backup = await copyOf(cloud.store, 'history-2')
    for (let restart = 0; restart < 3; restart += 1) {
      cloud.crash()
      await cloud.startEngine()
    }
    await cloud.createRunning('web')
    const heardOf = cloud.engine().leader.term
    cloud.crash()
    cloud.store = backup
    await cloud.startEngine()
    assert.ok(cloud.engine().leader.term < heardOf)
    await cloud.createRunning('new')
    assert.ok(cloud.engine().leader.term > heardOf)
  })

  test('a machine that runs elsewhere than the store says is not started a second time', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    await cloud.createRunning('web')
    const first = homeOf(cloud, 'web')
    const backup = await copyOf(cloud.store, 'history-2')
    cloud.agents.host(first).isCut = true
    await cloud.clock.until('it moved', () => homeOf(cloud, 'web') !== first && homeOf(cloud, 'web') !== '')
    cloud.agents.host(first).isCut = false
    await cloud.clock.until('the first is back', () => cloud.host(first).status.state === 'online')
    cloud.crash()
    cloud.store = backup
    await cloud.startEngine()
    await cloud.clock.advance(10_000)
    assert.deepEqual(cloud.agents.twoWriters, [])
    assert.equal(cloud.agents.runningOn(vmIdOf('web')).length, 1)
  })
})
