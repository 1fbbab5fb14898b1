import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostIdOf, storageIdOf } from '../../model/cluster-state.fixture.ts'
import type { Cloud } from '../cloud.fixture.ts'
import { leaveMaintenance } from './change-maintenance.ts'
import { emptyAda, migrationTakesMs, onAda, startMovingCloud } from './maintenance.fixture.ts'

const namesOn = (cloud: Cloud, host: string) =>
  [...cloud.state().vms.values()]
    .filter(({ placement, status }) => placement?.hostId === hostIdOf(host) && status?.state === 'running')
    .map(({ spec }) => spec.name)
    .sort()
const running = (cloud: Cloud) =>
  [...cloud.state().vms.values()].filter(({ status }) => status?.state === 'running').length

async function fill(cloud: Cloud, names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    await cloud.createRunning(name, onAda({ spec: { number: index + 20, address: `10.0.0.${index + 40}` } }))
  }
  assert.deepEqual(namesOn(cloud, 'ada'), [...names])
}
const four = ['vm1', 'vm2', 'vm3', 'vm4']

describe('a host in maintenance', () => {
  test('is emptied, no more machines at once than allowed, and takes none until it ends', async () => {
    await using cloud = await startMovingCloud()
    await fill(cloud, four)
    const taskId = await emptyAda(cloud)
    await cloud.clock.until('it is empty', () => cloud.taskState(taskId) === 'succeeded', 30_000)
    assert.deepEqual(namesOn(cloud, 'ada'), [])
    assert.equal(running(cloud), 4)
    assert.equal(cloud.migrations.most, 2)
    await cloud.createRunning('later', onAda())
    assert.deepEqual(namesOn(cloud, 'ada'), [])
    const left = leaveMaintenance(cloud.engine().leader, hostIdOf('ada'), 'test')
    await cloud.clock.until('it is over', () => cloud.host('ada').spec.maintenance === null)
    await left
    await cloud.createRunning('last', onAda({ spec: { number: 50, address: '10.0.0.60' } }))
    assert.deepEqual(namesOn(cloud, 'ada'), ['last'])
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('goes on being emptied after its controller was killed in the middle', async () => {
    await using cloud = await startMovingCloud()
    await fill(cloud, four)
    const taskId = await emptyAda(cloud)
    await cloud.clock.until('half of it is away', () => namesOn(cloud, 'ada').length === 2, 30_000)
    cloud.crash()
    await cloud.clock.advance(200)
    await cloud.startEngine()
    await cloud.clock.until('it is empty', () => cloud.taskState(taskId) === 'succeeded', 60_000)
    assert.equal(running(cloud), 4)
    assert.deepEqual(namesOn(cloud, 'ada'), [])
    const moves = [...cloud.state().tasks.values()].filter(({ kind }) => kind === 'vm.migrate')
    assert.equal(moves.length, 4, 'no machine is moved twice')
  })

  test('that dies in the middle is fenced as ever, and its machines recover', async () => {
    await using cloud = await startMovingCloud()
    await fill(cloud, four)
    const taskId = await emptyAda(cloud)
    await cloud.clock.advance(migrationTakesMs / 2)
    cloud.agents.host('ada').isCut = true
    const isOver = () => cloud.taskState(taskId) === 'succeeded' && running(cloud) === 4
    await cloud.clock.until('all run elsewhere', isOver, 120_000)
    assert.equal(cloud.host('ada').status.state, 'fenced')
    assert.notEqual(cloud.host('ada').spec.maintenance, null)
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('stays in maintenance when its task is cancelled, with what is still there', async () => {
    await using cloud = await startMovingCloud()
    await fill(cloud, four)
    const taskId = await emptyAda(cloud)
    await cloud.clock.until('one move is under way', () => cloud.migrations.most > 0)
    const cancelled = cloud.engine().tasks.cancel(taskId)
    await cloud.clock.until('it is cancelled', () => cloud.taskState(taskId) === 'cancelled', 30_000)
    await cancelled
    assert.notEqual(cloud.host('ada').spec.maintenance, null)
    assert.equal(running(cloud) >= 2, true)
  })
})

describe('a machine that cannot be moved while it runs', () => {
  test('is told, with the reason, when nothing moves any more', async () => {
    await using cloud = await startMovingCloud()
    await fill(cloud, ['vm1', 'vm2'])
    cloud.migrations.failing.add('vm1')
    const taskId = await emptyAda(cloud)
    await cloud.clock.until('it gives up', () => cloud.taskState(taskId) === 'failed', 60_000)
    const message = cloud.state().tasks.get(taskId)?.error?.message ?? ''
    assert.match(
      message,
      /ada takes no machines any more and still holds 1: vm1: 3 moves failed: its memory changes too fast/,
    )
    assert.deepEqual(namesOn(cloud, 'ada'), ['vm1'])
  })

  test('is shut down and started elsewhere, if that is allowed', async () => {
    await using cloud = await startMovingCloud()
    cloud.migrations.obstacle = 'its console is open'
    await fill(cloud, ['vm1', 'vm2', 'vm3'])
    const taskId = await emptyAda(cloud, { restartElsewhere: true })
    await cloud.clock.until('it is empty', () => cloud.taskState(taskId) === 'succeeded', 60_000)
    assert.deepEqual([namesOn(cloud, 'ada'), running(cloud)], [[], 3])
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('is started again though the controller was killed while it was down', async () => {
    await using cloud = await startMovingCloud()
    cloud.migrations.obstacle = 'its console is open'
    await fill(cloud, ['vm1'])
    const taskId = await emptyAda(cloud, { restartElsewhere: true })
    const [vm] = cloud.state().vms.values()
    const isDown = () => vm !== undefined && cloud.vm(vm.spec.id)?.status?.state === 'stopped'
    await cloud.clock.until('it is down', isDown, 10_000)
    cloud.crash()
    await cloud.clock.advance(100)
    await cloud.startEngine()
    await cloud.clock.until('it is over', () => cloud.taskState(taskId) === 'succeeded' && running(cloud) === 1, 60_000)
    assert.deepEqual(namesOn(cloud, 'ada'), [])
  })

  test('is stopped, if that is allowed, and starts again when the maintenance ends', async () => {
    await using cloud = await startMovingCloud({ hasLocalStorages: true })
    await fill(cloud, ['vm1', 'vm2'])
    for (const name of ['bob', 'cyd']) cloud.agents.host(name).freeMiB = 10
    await cloud.clock.advance(1_000)
    const bound = await cloud.createRunning('bound', {
      storage: storageIdOf('ada'),
      spec: { ha: false, boundToHostId: hostIdOf('ada'), number: 50, address: '10.0.0.60' },
    })
    const owners = await cloud.createRunning('owners', onAda({ spec: { number: 51, address: '10.0.0.61' } }))
    await cloud.change(owners, { desired: 'stopped' })
    const taskId = await emptyAda(cloud, { stop: true })
    await cloud.clock.until('it is empty', () => cloud.taskState(taskId) === 'succeeded', 60_000)
    assert.equal(cloud.vm(bound)?.status?.state, 'stopped')
    const left = leaveMaintenance(cloud.engine().leader, hostIdOf('ada'), 'test')
    await cloud.clock.until('it is back', () => cloud.vm(bound)?.status?.state === 'running', 10_000)
    assert.deepEqual(await left, ['bound'])
    assert.equal(cloud.vm(owners)?.spec.desired, 'stopped', 'its owner had stopped it')
  })
})
