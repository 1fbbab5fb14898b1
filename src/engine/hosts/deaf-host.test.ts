/** What a host says arrives, and nothing that is said to it does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultTimings } from '../../model/timings.ts'
import { startCloud } from '../cloud.fixture.ts'

test('a host that hears nothing is shown as deaf, gets no new machine, and what runs there is shown and let alone', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  const host = cloud.agents.host(home)
  host.isDeaf = true
  await cloud.clock.advance(defaultTimings.leaseMs / 3)
  assert.equal(cloud.host(home).status.state, 'online')
  await cloud.clock.until('it is found', () => cloud.host(home).status.state === 'deaf')
  await cloud.clock.advance(10_000)
  assert.deepEqual([cloud.vm(vmId)?.status?.state, cloud.vm(vmId)?.placement?.epoch], ['running', 1])
  const other = await cloud.createRunning('db')
  assert.notDeepEqual(cloud.agents.runningOn(other), [home])
  await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
  await cloud.clock.advance(2_000)
  assert.equal(cloud.vm(vmId)?.status?.state, 'running')
  host.isDeaf = false
  await cloud.clock.until('it hears again', () => cloud.host(home).status.state === 'online')
  await cloud.clock.until('what was ordered is done', () => cloud.vm(vmId)?.status?.state === 'stopped')
  assert.deepEqual(
    (await cloud.events()).filter((event) => event.endsWith(home) && event.startsWith('host.')),
    [`host.online ${home}`, `host.deaf ${home}`, `host.online ${home}`],
  )
})

test('a host that was cut off and is back is not taken for deaf: what it said meanwhile never arrived', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  const host = cloud.agents.host('ada')
  host.isCut = true
  await cloud.clock.advance(6_000)
  host.unanswered = 12
  host.isCut = false
  await cloud.clock.advance(3_000)
  assert.equal(cloud.host('ada').status.state, 'online')
  assert.equal((await cloud.events()).includes('host.deaf ada'), false)
})

test('heartbeats that have waited and come all at once are no sign of deafness', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  const { receive } = cloud.agents
  const caught: (() => void)[] = []
  cloud.agents.receive = async (hostId, heartbeat) => {
    if (hostId === cloud.agents.host('ada').spec.id)
      caught.push(() => void receive?.(hostId, heartbeat).catch(() => undefined))
    else return receive?.(hostId, heartbeat) ?? Promise.reject(new Error('no engine'))
    cloud.agents.host('ada').unanswered += 1
    return new Promise(() => undefined)
  }
  await cloud.clock.advance(6_000)
  cloud.agents.receive = receive
  for (const arrive of caught) arrive()
  cloud.agents.host('ada').unanswered = 0
  await cloud.clock.advance(3_000)
  assert.equal(cloud.host('ada').status.state, 'online')
  assert.equal((await cloud.events()).includes('host.deaf ada'), false)
})

test('a deaf host that falls silent is suspect, as any other', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  const host = cloud.agents.host('ada')
  host.isDeaf = true
  await cloud.clock.until('it is found', () => cloud.host('ada').status.state === 'deaf')
  host.isCut = true
  await cloud.clock.advance(defaultTimings.suspectAfterMs + 200)
  assert.equal(cloud.host('ada').status.state, 'suspect')
})
