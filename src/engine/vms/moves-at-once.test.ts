/** Many moves at the same time: bounded on each host, and admitted one after the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { movesAtOncePerHost } from '../../control/move-room.ts'
import { judgeReserve } from '../../control/placement/judge-reserve.ts'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { put } from '../leader.ts'
import { keys } from '../state/keys.ts'

const openMoves = (cloud: Cloud) =>
  [...cloud.state().vms.values()].filter(({ migration }) => migration !== undefined).length

const areOver = (cloud: Cloud) => [...cloud.state().tasks.values()].every(({ endedAt }) => endedAt !== null)

test('twelve machines that leave a host at once go a few at a time, and all arrive', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
  const vmIds = []
  for (let index = 0; index < 12; index += 1) {
    const spec = { memoryMiB: 64, number: 10 + index, address: `10.0.0.${30 + index}` }
    vmIds.push(await cloud.createRunning(`web${'abcdefghijkl'[index]}`, { spec }))
  }
  const tasks = []
  for (const vmId of vmIds) {
    const [home] = cloud.agents.runningOn(vmId)
    const to = hostIdOf(home === 'ada' ? 'bob' : 'ada')
    tasks.push(await cloud.begin('vm.migrate', { vmId, wishedHostId: to }))
  }
  let most = 0
  const look = () => {
    most = Math.max(most, openMoves(cloud))
    return areOver(cloud)
  }
  await cloud.clock.until('all have arrived', look, 120_000)
  assert.equal(most, movesAtOncePerHost)
  assert.deepEqual(new Set(tasks.map((taskId) => cloud.taskState(taskId))), new Set(['succeeded']))
  assert.deepEqual(cloud.agents.twoWriters, [])
})

test('moves that each alone keep the reserve, and together break it, are not both made', async () => {
  await using cloud = await startCloud({ hosts: ['ada', 'bob', 'cyd'].map((name) => ({ name })) })
  const { cluster } = cloud.state()
  await cloud.store.commit({ conditions: [], writes: [put(keys.cluster, { ...cluster, hostFailuresToTolerate: 1 })] })
  await cloud.clock.advance(0)
  // Two on each host of 4,096 MiB: one more on any of them, and its death would leave one without a place.
  const vmIds = []
  for (let index = 0; index < 6; index += 1) {
    const spec = { memoryMiB: 1_300, number: 10 + index, address: `10.0.0.${30 + index}`, ha: true }
    vmIds.push(await cloud.createRunning(`web${'abcdefghijkl'[index]}`, { spec }))
  }
  assert.equal(judgeReserve(cloud.state()).kind, 'kept')
  const elsewhere = vmIds.filter((vmId) => cloud.agents.runningOn(vmId)[0] !== 'ada')
  const tasks = []
  for (const vmId of elsewhere) tasks.push(await cloud.begin('vm.migrate', { vmId, wishedHostId: hostIdOf('ada') }))
  await cloud.clock.until('all is over', () => areOver(cloud), 120_000)
  assert.equal(judgeReserve(cloud.state()).kind, 'kept')
  const errors = tasks.map((taskId) => cloud.state().tasks.get(taskId)?.error?.code)
  assert.ok(errors.includes('reserve-broken') || errors.includes('no-host-fits'), errors.join(' '))
})
