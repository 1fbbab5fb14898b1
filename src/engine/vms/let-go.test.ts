/** A machine that is to be nowhere: whoever waits for that gives the others their turn, whatever becomes of its hosts meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { startCloud } from '../cloud.fixture.ts'

test('a machine whose move ends over its deletion, with one host dead and the other silent, is deleted when both have let go', async () => {
  await using cloud = await startCloud({
    hosts: ['ada', 'bob', 'cyd', 'dan', 'eve'].map((name) => ({ name })),
  })
  const vmId = await cloud.createRunning('web', { spec: { ha: false } })
  const [home = ''] = cloud.agents.runningOn(vmId)
  const other = home === 'bob' ? 'ada' : 'bob'
  cloud.agents.intercept = (call, moment, { spec }) => {
    if (call === 'releaseMachine' && moment === 'before' && spec.name === home)
      throw new DialtoneError('host-unreachable', `${home} does not answer`)
  }
  await cloud.begin('vm.migrate', { vmId, wishedHostId: hostIdOf(other) })
  await cloud.clock.until('it runs there', () => cloud.agents.runningOn(vmId)[0] === other)
  await cloud.clock.advance(500)
  cloud.agents.host(home).isOff = true
  cloud.agents.host(other).isCut = true
  const taskId = await cloud.delete(vmId)
  await cloud.clock.until('both are missed', () =>
    [home, other].every((name) => cloud.host(name).status.state !== 'online'),
  )
  await cloud.engine().confirmHostDead(hostIdOf(home), 'alice')
  await cloud.clock.advance(5_000)
  assert.equal(cloud.vm(vmId)?.migration, undefined)
  cloud.agents.host(other).isCut = false
  await cloud.clock.until('it is deleted', () => cloud.taskState(taskId) === 'succeeded', 60_000)
})
