/** A drill breaks what it says, waits for the recovery, and ends in the ledger and on the host, whatever goes wrong on the way. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import type { DrillKind } from '../../model/recovery/drill.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { type FakeHost, observe } from '../fake-host.fixture.ts'

const three = { hosts: ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true })) }
const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const homeOf = (cloud: Cloud, vmId: VmId): FakeHost => cloud.agents.host(cloud.agents.runningOn(vmId)[0] ?? '')

async function begin(cloud: Cloud, kind: DrillKind): Promise<{ vmId: VmId; home: FakeHost; taskId: TaskId }> {
  const vmId = await cloud.createRunning('web', { spec: { probe, recovery: { mode: 'warm' } } })
  const home = homeOf(cloud, vmId)
  const taskId = await cloud.begin('vm.drill', { vmId, kind, hostId: home.spec.id, beganAt: null })
  return { vmId, home, taskId }
}

/** Its agent finds the failure and cures it. */
function recovers(cloud: Cloud, host: FakeHost, vmId: VmId): void {
  const at = cloud.clock.wallTime().toISOString()
  const life = { epoch: 1, incarnation: 1 }
  const cause = { failedAt: at, cause: 'process-died', detail: 'killed' } as const
  observe(host, { kind: 'failure-detected', vmId, at, ...life, ...cause })
  observe(host, { kind: 'rung-ended', vmId, at, ...life, rung: 'resume-here', isCured: true, tookMs: 90, detail: '' })
}

/** It was started there and answers. */
function serves(cloud: Cloud, host: FakeHost, vmId: VmId): void {
  const at = cloud.clock.wallTime().toISOString()
  const life = { epoch: 2, incarnation: 0, rung: null, imageId: null, tookMs: 5 }
  observe(host, { kind: 'machine-started', vmId, at, ...life })
  observe(host, { kind: 'probing-began', vmId, at, prober: 'own', isCorrect: true })
}

const ends = (cloud: Cloud, taskId: TaskId, withinMs?: number) =>
  cloud.clock.until('the drill ends', () => !['running', 'undoing'].includes(cloud.taskState(taskId) ?? ''), withinMs)

/** What the ledger says of drills, in order. */
async function drillsOf(cloud: Cloud, vmId: VmId): Promise<readonly string[]> {
  return (await cloud.engine().ledger.entries(vmId)).flatMap(({ record }) =>
    record.kind === 'drill-began' || record.kind === 'drill-ended' ? [`${record.kind} ${record.drill}`] : [],
  )
}
const injections = (cloud: Cloud) => cloud.agents.orders.filter((order) => order.startsWith('injectFailure')).length

describe('a drill', () => {
  test('is entered, injects its failure once, and is ended when the service answers again', async () => {
    await using cloud = await startCloud(three)
    const { vmId, home, taskId } = await begin(cloud, 'kill-qemu')
    await cloud.clock.until('it was injected', () => injections(cloud) === 1)
    await cloud.clock.advance(500)
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began kill-qemu'])
    recovers(cloud, home, vmId)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began kill-qemu', 'drill-ended kill-qemu'])
    assert.equal(injections(cloud), 1)
  })

  test('whose failure could not be injected is ended in the ledger, and says why', async () => {
    await using cloud = await startCloud(three)
    cloud.agents.intercept = (call) => {
      if (call === 'injectFailure') throw new DialtoneError('wrong-state', 'web has no /etc/dialtone/drill')
    }
    const { vmId, taskId } = await begin(cloud, 'wrong-answers')
    await ends(cloud, taskId)
    assert.equal(cloud.state().tasks.get(taskId)?.error?.message, 'web has no /etc/dialtone/drill')
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began wrong-answers', 'drill-ended wrong-answers'])
  })

  test('after which nothing recovers fails after some minutes, and is ended in the ledger', async () => {
    await using cloud = await startCloud(three)
    const { vmId, taskId } = await begin(cloud, 'freeze')
    await ends(cloud, taskId, 400_000)
    assert.equal(cloud.taskState(taskId), 'failed')
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began freeze', 'drill-ended freeze'])
  })

  test('that is cancelled is ended in the ledger', async () => {
    await using cloud = await startCloud(three)
    const { vmId, taskId } = await begin(cloud, 'panic')
    await cloud.clock.until('it was injected', () => injections(cloud) === 1)
    await cloud.engine().tasks.cancel(taskId)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began panic', 'drill-ended panic'])
  })

  for (const moment of ['before', 'after'] as const)
    test(`whose controller crashes ${moment} the injection breaks the machine once, and is ended by the next one`, async () => {
      await using cloud = await startCloud(three)
      cloud.agents.intercept = (call, at) => {
        if (call === 'injectFailure' && at === moment) cloud.crash()
        if (call === 'injectFailure' && at === moment && moment === 'before')
          throw new DialtoneError('host-unreachable', 'no')
      }
      const { vmId, home, taskId } = await begin(cloud, 'kill-qemu')
      await cloud.clock.until('it crashes', () => cloud.engine().leader.signal.aborted)
      cloud.agents.intercept = () => undefined
      if (moment === 'after') recovers(cloud, home, vmId)
      await cloud.clock.advance(300)
      await cloud.startEngine()
      if (moment === 'before') {
        await cloud.clock.until('it is injected', () => injections(cloud) === 1)
        recovers(cloud, home, vmId)
      }
      await ends(cloud, taskId)
      assert.equal(cloud.taskState(taskId), 'succeeded')
      assert.equal(injections(cloud), 1)
      assert.equal((await drillsOf(cloud, vmId)).at(-1), 'drill-ended kill-qemu')
    })

  test('whose controller crashes while it waits is ended by the next one', async () => {
    await using cloud = await startCloud(three)
    const { vmId, home, taskId } = await begin(cloud, 'kill-qemu')
    await cloud.clock.until('it was injected', () => injections(cloud) === 1)
    await cloud.clock.advance(200)
    cloud.crash()
    await cloud.clock.advance(300)
    await cloud.startEngine()
    recovers(cloud, home, vmId)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.equal(injections(cloud), 1)
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began kill-qemu', 'drill-ended kill-qemu'])
  })
})

describe('a drill that kills a host', () => {
  test('switches it off, waits until the machine answers elsewhere, and switches it on again', async () => {
    await using cloud = await startCloud(three)
    const { vmId, home, taskId } = await begin(cloud, 'kill-host')
    await cloud.clock.until('it is off', () => home.isOff)
    await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(vmId).length === 1)
    serves(cloud, homeOf(cloud, vmId), vmId)
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'succeeded')
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began kill-host', 'drill-ended kill-host'])
    assert.equal(home.isOff, false)
    assert.equal(cloud.host(home.spec.name).status.state, 'online')
    assert.deepEqual(cloud.agents.twoWriters, [])
  })

  test('switches it on again also when nothing recovers', async () => {
    await using cloud = await startCloud(three)
    const { vmId, home, taskId } = await begin(cloud, 'kill-host')
    for (const host of cloud.agents.hosts.values()) host.failsStarts = true
    await cloud.clock.until('it is off', () => home.isOff)
    await ends(cloud, taskId, 400_000)
    assert.equal(cloud.taskState(taskId), 'failed')
    assert.equal(home.isOff, false)
    assert.equal((await drillsOf(cloud, vmId)).at(-1), 'drill-ended kill-host')
  })

  test('is no drill of a machine that has moved meanwhile: nothing is switched off', async () => {
    await using cloud = await startCloud(three)
    const vmId = await cloud.createRunning('web', { spec: { probe } })
    const home = homeOf(cloud, vmId)
    const elsewhere = [...cloud.agents.hosts.values()].find((host) => host !== home)
    assert.ok(elsewhere)
    const taskId = await cloud.begin('vm.drill', { vmId, kind: 'kill-host', hostId: elsewhere.spec.id, beganAt: null })
    await ends(cloud, taskId)
    assert.equal(cloud.taskState(taskId), 'failed')
    await cloud.clock.advance(5_000)
    assert.deepEqual(
      [...cloud.agents.hosts.values()].map(({ isOff }) => isOff),
      [false, false, false],
    )
    assert.deepEqual(cloud.agents.runningOn(vmId), [home.spec.name])
  })

  test('whose host does not come back fails in the end, and the controller goes on with its work', async () => {
    await using cloud = await startCloud(three)
    cloud.agents.fences.switchOn = async () => undefined
    const { vmId, home, taskId } = await begin(cloud, 'kill-host')
    await cloud.clock.until('it is off', () => home.isOff)
    await cloud.clock.until('it runs elsewhere', () => cloud.agents.runningOn(vmId).length === 1)
    serves(cloud, homeOf(cloud, vmId), vmId)
    await ends(cloud, taskId, 400_000)
    assert.equal(cloud.taskState(taskId), 'failed')
    assert.deepEqual(await drillsOf(cloud, vmId), ['drill-began kill-host', 'drill-ended kill-host'])
  })
})
