/** A recovery by hand ends a machine once, whatever happens to the controller, and waits until it serves again. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { type FakeHost, observe } from '../fake-host.fixture.ts'

const two = { hosts: [{ name: 'ada' }, { name: 'bob' }] }
const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const orders = (cloud: Cloud) => cloud.agents.orders.filter((order) => order.startsWith('recoverMachine')).length
const ends = (cloud: Cloud, taskId: TaskId) =>
  cloud.clock.until('it ends', () => !['running', 'undoing'].includes(cloud.taskState(taskId) ?? ''), 400_000)

function begin(cloud: Cloud, vmId: VmId): Promise<TaskId> {
  const beganAt = cloud.clock.wallTime().toISOString()
  return cloud.begin('vm.recover', { vmId, rung: 'resume-here', beganAt })
}

/** What its agent sees when it is told to. */
function recovers(cloud: Cloud, host: FakeHost, vmId: VmId): void {
  const at = cloud.clock.wallTime().toISOString()
  const life = { epoch: 1, incarnation: 1 }
  observe(host, { kind: 'failure-detected', vmId, at, ...life, failedAt: null, cause: 'unknown', detail: 'by order' })
  observe(host, { kind: 'rung-ended', vmId, at, ...life, rung: 'resume-here', isCured: true, tookMs: 90, detail: '' })
}

describe('a recovery by hand', () => {
  for (const mishap of ['nothing', 'crashes before', 'crashes after', 'crashes while it waits'] as const)
    test(`is done once when this happens to the controller: ${mishap}`, async () => {
      await using cloud = await startCloud(two)
      const vmId = await cloud.createRunning('web', { spec: { probe } })
      let isAwaited = mishap !== 'nothing'
      cloud.agents.intercept = (call, moment, host) => {
        if (call !== 'recoverMachine') return
        if (moment === 'after') recovers(cloud, host, vmId)
        if (!isAwaited || !mishap.endsWith(moment)) return
        isAwaited = false
        cloud.crash()
        if (moment === 'before') throw new DialtoneError('host-unreachable', 'the order got lost')
      }
      const taskId = await begin(cloud, vmId)
      if (mishap === 'crashes while it waits') {
        await cloud.clock.until('it was ordered', () => orders(cloud) === 1)
        cloud.crash()
      }
      await cloud.clock.advance(100)
      if (cloud.engine().leader.signal.aborted) await cloud.startEngine()
      await ends(cloud, taskId)
      assert.equal(cloud.taskState(taskId), 'succeeded')
      assert.equal(orders(cloud), 1)
    })

  test('after which it never serves ends with that, in bounded time', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    const taskId = await begin(cloud, vmId)
    await ends(cloud, taskId)
    assert.equal(cloud.state().tasks.get(taskId)?.error?.code, 'deadline-exceeded')
  })

  test('of a machine that nobody probes is over when it was ordered', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const taskId = await begin(cloud, vmId)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'succeeded')
  })
})
