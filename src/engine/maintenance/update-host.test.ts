import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import type { TaskId } from '../../model/ids.ts'
import type { Cloud } from '../cloud.fixture.ts'
import { onAda, startMovingCloud } from './maintenance.fixture.ts'

async function updateAll(cloud: Cloud, hosts = ['ada', 'bob']): Promise<TaskId> {
  const wish = { parallel: 2, stop: false, restartElsewhere: false }
  return cloud.begin('host.rolling-update', { hostIds: hosts.map(hostIdOf), command: 'upgrade', wish })
}
const ended = (cloud: Cloud, taskId: TaskId) => () => cloud.state().tasks.get(taskId)?.endedAt !== null
const errorOf = (cloud: Cloud, taskId: TaskId) => cloud.state().tasks.get(taskId)?.error?.message ?? ''
/** Where commands ran, in turn, and how many machines were on their host. */
function record(cloud: Cloud, effect: (name: string) => number | undefined = () => 0): string[] {
  const runs: string[] = []
  cloud.agents.carryOut = (host, command) => {
    runs.push(`${command} on ${host.spec.name} with ${host.machines.size}`)
    return effect(host.spec.name)
  }
  return runs
}
const isGivenBack = (cloud: Cloud, name: string) => cloud.host(name).spec.maintenance === null

test('each host is empty while it runs the command, and is given back before the next one is touched', async () => {
  await using cloud = await startMovingCloud()
  const vmId = await cloud.createRunning('web', onAda())
  const runs = record(cloud, (name) => {
    assert.equal(isGivenBack(cloud, name === 'ada' ? 'bob' : 'ada'), true)
    return 0
  })
  const taskId = await updateAll(cloud)
  await cloud.clock.until('it is over', ended(cloud, taskId), 120_000)
  assert.equal(cloud.taskState(taskId), 'succeeded', errorOf(cloud, taskId))
  assert.deepEqual(runs, ['upgrade on ada with 0', 'upgrade on bob with 0'])
  assert.deepEqual([isGivenBack(cloud, 'ada'), isGivenBack(cloud, 'bob')], [true, true])
  assert.equal(cloud.vm(vmId)?.status?.state, 'running')
  const journal = JSON.stringify(cloud.state().tasks.get(taskId)?.journal)
  assert.match(journal, /ada:\\nupgrade done.*bob:\\nupgrade done/)
  assert.ok((await cloud.events()).includes('host.command ada'), 'it is audited')
})

test('a command that fails ends the update: its host stays in maintenance, and no other one is touched', async () => {
  await using cloud = await startMovingCloud()
  const runs = record(cloud, () => 7)
  const taskId = await updateAll(cloud)
  await cloud.clock.until('it is over', ended(cloud, taskId), 120_000)
  assert.match(
    errorOf(cloud, taskId),
    /the update stopped at ada, after 0 of 2 hosts: the command on ada ended with 7: upgrade done/,
  )
  assert.deepEqual(runs, ['upgrade on ada with 0'])
  assert.deepEqual([isGivenBack(cloud, 'ada'), isGivenBack(cloud, 'bob')], [false, true])
})

test('a command may reboot its host: it is waited for, and the command is not run again', async () => {
  await using cloud = await startMovingCloud()
  const runs = record(cloud, (name) => {
    cloud.agents.host(name).isOff = true
    return undefined
  })
  const taskId = await updateAll(cloud, ['ada'])
  await cloud.clock.until('it runs', () => runs.length === 1, 30_000)
  await cloud.clock.advance(5_000)
  assert.equal(cloud.taskState(taskId), 'running')
  cloud.agents.reboot('ada')
  await cloud.clock.until('it is over', ended(cloud, taskId), 120_000)
  assert.equal(cloud.taskState(taskId), 'succeeded', errorOf(cloud, taskId))
  assert.deepEqual(runs, ['upgrade on ada with 0'])
  assert.equal(isGivenBack(cloud, 'ada'), true)
})

test('a host that does not come back ends the update', async () => {
  await using cloud = await startMovingCloud()
  record(cloud, (name) => {
    cloud.agents.host(name).isOff = true
    return 0
  })
  const taskId = await updateAll(cloud)
  await cloud.clock.until('it is over', ended(cloud, taskId), 10 * 3_600_000)
  assert.match(
    errorOf(cloud, taskId),
    /the update stopped at ada, after 0 of 2 hosts: ada has not come back within 15 minutes/,
  )
  assert.deepEqual([isGivenBack(cloud, 'ada'), isGivenBack(cloud, 'bob')], [false, true])
})

test('a controller that is killed in the middle goes on where it was', async () => {
  await using cloud = await startMovingCloud()
  await cloud.createRunning('web', onAda())
  const runs = record(cloud)
  const taskId = await updateAll(cloud)
  await cloud.clock.until('the first command runs', () => runs.length === 1, 60_000)
  cloud.crash()
  await cloud.clock.advance(300)
  await cloud.startEngine()
  await cloud.clock.until('it is over', ended(cloud, taskId), 180_000)
  assert.equal(cloud.taskState(taskId), 'succeeded', errorOf(cloud, taskId))
  assert.deepEqual(runs, ['upgrade on ada with 0', 'upgrade on bob with 0'])
})
