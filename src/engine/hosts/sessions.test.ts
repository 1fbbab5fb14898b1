/** Agents and hosts start anew; heartbeats come late, twice or not at all. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Heartbeat } from '../../model/agent-protocol/heartbeat.ts'
import { hostIdOf, vmIdOf } from '../../model/cluster-state.fixture.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'

const two = { hosts: [{ name: 'ada' }, { name: 'bob' }] }

/** Remembers every heartbeat that arrives. */
function recordHeartbeats(cloud: Cloud): Heartbeat[] {
  const seen: Heartbeat[] = []
  const { receive } = cloud.agents
  cloud.agents.receive = async (hostId, heartbeat) => {
    seen.push(heartbeat)
    if (receive === undefined) throw new Error('no engine')
    return receive(hostId, heartbeat)
  }
  return seen
}

test('an agent that restarts and finds its machines again restarts none of them', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  const before = cloud.agents.orders.length
  cloud.agents.restartAgent(home)
  await cloud.clock.advance(5_000)
  assert.equal(cloud.agents.orders.length, before)
  assert.deepEqual(cloud.agents.runningOn(vmId), [home])
  assert.equal(cloud.vm(vmId)?.placement?.epoch, 1)
  assert.equal(cloud.host(home).status.session, cloud.agents.host(home).session)
})

test('a host that booted anew has proven its machines dead: they start again, under a new epoch', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  cloud.agents.reboot(home)
  await cloud.clock.until('it runs again', () => cloud.vm(vmId)?.placement?.epoch === 2)
  await cloud.clock.until('it runs again', () => cloud.agents.runningOn(vmId).length === 1)
  assert.equal(cloud.vm(vmId)?.placement?.proof?.kind, 'rebooted')
  assert.ok((await cloud.events()).includes(`host.rebooted ${home}`))
})

test('a host whose first heartbeat of a session got lost is heard all the same', async () => {
  await using cloud = await startCloud(two)
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  cloud.agents.restartAgent(home, { losesFirstHeartbeat: true })
  await cloud.clock.advance(600)
  assert.equal(cloud.host(home).status.session, cloud.agents.host(home).session)
  await cloud.clock.advance(10_000)
  assert.equal(cloud.host(home).status.state, 'online')
  assert.deepEqual(cloud.agents.runningOn(vmId), [home])
})

test('a heartbeat of a session that a newer one has replaced is refused', async () => {
  await using cloud = await startCloud(two)
  const seen = recordHeartbeats(cloud)
  await cloud.clock.advance(1_000)
  const host = cloud.agents.host('ada')
  const late = seen.findLast(({ session }) => session === host.session)
  assert.ok(late !== undefined)
  cloud.agents.restartAgent('ada')
  await cloud.clock.advance(1_000)
  await assert.rejects(cloud.engine().receiveHeartbeat(host.spec.id, late), { code: 'session-replaced' })
  assert.equal(cloud.host('ada').status.session, host.session)
})

test('a heartbeat that comes late proves nothing: a host that is being fenced has let go only when its newest one says so', async () => {
  await using cloud = await startCloud(two)
  const seen = recordHeartbeats(cloud)
  await cloud.clock.advance(600)
  const empty = [...seen]
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  const host = cloud.agents.host(home)
  host.isCut = true
  await cloud.clock.until('the fencing begins', () => cloud.host(home).status.fencing !== null)
  const late = empty.findLast(({ session }) => session === host.session)
  assert.ok(late !== undefined && late.machines.length === 0)
  await cloud
    .engine()
    .receiveHeartbeat(host.spec.id, late)
    .catch(() => undefined)
  await cloud.clock.advance(20)
  assert.equal(cloud.host(home).status.proof, null)
  await cloud.clock.advance(10_000)
  assert.deepEqual(cloud.agents.twoWriters, [])
})

test('a heartbeat of a host that nobody knows is refused', async () => {
  await using cloud = await startCloud(two)
  const seen = recordHeartbeats(cloud)
  await cloud.clock.advance(300)
  const [heartbeat] = seen
  assert.ok(heartbeat !== undefined)
  await assert.rejects(cloud.engine().receiveHeartbeat(hostIdOf('zoe'), heartbeat), { code: 'not-found' })
})

describe('a start that waits for its word', () => {
  test('is not confirmed when the machine is wanted stopped meanwhile, and never runs', async () => {
    await using cloud = await startCloud(two)
    const { vmId } = await cloud.create('web')
    await cloud.clock.until('it waits for its word', () =>
      [...cloud.agents.hosts.values()].some((host) => host.machines.get(vmId)?.phase === 'starting'),
    )
    await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
    await cloud.clock.advance(3_000)
    assert.deepEqual(cloud.agents.runningOn(vmId), [])
    assert.equal(cloud.vm(vmIdOf('web'))?.status?.state, 'stopped')
  })

  test('is not confirmed on a host that owns it no more', async () => {
    await using cloud = await startCloud(two)
    const seen = recordHeartbeats(cloud)
    const vmId = await cloud.createRunning('web')
    const [home = ''] = cloud.agents.runningOn(vmId)
    const other = cloud.agents.host(home === 'ada' ? 'bob' : 'ada')
    const newest = seen.findLast(({ session }) => session === other.session)
    assert.ok(newest !== undefined)
    const asking = { ...newest, sequence: newest.sequence + 1, pendingStarts: [{ vmId, epoch: 1 }] }
    const answer = await cloud.engine().receiveHeartbeat(other.spec.id, asking)
    assert.deepEqual(answer.confirmedStarts, [])
  })
})

test('the last word of an agent that is gone, which comes late to a new leader, does not lock out the agent that lives', async () => {
  await using cloud = await startCloud(two)
  const seen = recordHeartbeats(cloud)
  await cloud.clock.advance(1_000)
  const host = cloud.agents.host('ada')
  const late = seen.findLast(({ session }) => session === host.session)
  assert.ok(late !== undefined)
  cloud.crash()
  cloud.agents.restartAgent('ada')
  await cloud.startEngine()
  await cloud.clock.until('the new session is known', () => cloud.host('ada').status.session === host.session)
  await assert.rejects(cloud.engine().receiveHeartbeat(host.spec.id, { ...late, sequence: late.sequence + 1 }), {
    code: 'session-replaced',
  })
  await cloud.clock.advance(5_000)
  assert.deepEqual([cloud.host('ada').status.session, cloud.host('ada').status.state], [host.session, 'online'])
})

for (const [statement, isNewBoot] of [
  ['an agent that nobody ever heard', false],
  ['a boot that nobody ever heard of', true],
] as const) {
  test(`the last word of ${statement} does not lock out the agent that followed it, and proves nothing`, async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const [home = ''] = cloud.agents.runningOn(vmId)
    const host = cloud.agents.host(home)
    cloud.crash()
    await cloud.clock.advance(1_000)
    cloud.agents.restartAgent(home)
    const unheard = { session: host.session, agentLife: host.agentLife }
    cloud.agents.restartAgent(home)
    await cloud.startEngine()
    const seen = recordHeartbeats(cloud)
    await cloud.clock.until('the living agent is heard', () => cloud.host(home).status.session === host.session)
    const newest = seen.findLast(({ session }) => session === host.session)
    assert.ok(newest !== undefined)
    const late = { ...newest, ...unheard, machines: [], ...(isNewBoot ? { bootId: 'an-older-boot' } : {}) }
    const refusal = { code: 'session-replaced', detail: { agentLife: host.agentLife } }
    await assert.rejects(cloud.engine().receiveHeartbeat(host.spec.id, late), refusal)
    await cloud.clock.advance(5_000)
    assert.deepEqual([cloud.host(home).status.session, cloud.host(home).status.state], [host.session, 'online'])
    assert.deepEqual([cloud.agents.runningOn(vmId), cloud.vm(vmId)?.placement?.epoch], [[home], 1])
  })
}
