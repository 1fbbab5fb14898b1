/** What the controller learns is entered for the services that it concerns, so that their outages can be told from it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assembleOutages } from '../../control/ledger/assemble-outages.ts'
import { hostIdOf, imageIdOf, makeImage } from '../../model/cluster-state.fixture.ts'
import type { VmId } from '../../model/ids.ts'
import { probeSchema } from '../../model/recovery/probe.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { type FakeHost, observe } from '../fake-host.fixture.ts'

const fenced = { hosts: ['ada', 'bob', 'cyd'].map((name) => ({ name, hasPowerFence: true })) }
const probe = probeSchema.parse({ check: { kind: 'tcp', port: 80 } })
const served = { spec: { probe, recovery: { mode: 'warm' } } } as const

/** Facts in short, oldest first. */
async function facts(cloud: Cloud, vmId: VmId): Promise<readonly string[]> {
  const entries = await cloud.engine().ledger.entries(vmId)
  return entries.flatMap(({ hostId, record }) => {
    if (hostId !== null) return []
    if (record.kind === 'planned-began' || record.kind === 'planned-ended') return [`${record.kind} ${record.what}`]
    if (record.kind === 'host-proven-dead') return [`${record.kind} ${record.proof}`]
    if (record.kind === 'decided') return [`${record.kind} ${record.rung}`]
    return [record.kind]
  })
}
const homeOf = (cloud: Cloud, vmId: VmId): FakeHost => cloud.agents.host(cloud.agents.runningOn(vmId)[0] ?? '')
const others = (cloud: Cloud, home: FakeHost) => [...cloud.agents.hosts.values()].filter((host) => host !== home)

/** It has started there and answers. */
function serves(cloud: Cloud, host: FakeHost, vmId: VmId): void {
  const at = cloud.clock.wallTime().toISOString()
  const life = { epoch: 1, incarnation: 0, rung: null, imageId: null, tookMs: 5 }
  const started: RecoveryRecord = { kind: 'machine-started', vmId, at, ...life }
  observe(host, started, { kind: 'probing-began', vmId, at, prober: 'own', isCorrect: true })
}
async function outages(cloud: Cloud, vmId: VmId) {
  const entries = await cloud.engine().ledger.entries(vmId)
  const untilMs = cloud.clock.wallTime().getTime()
  return assembleOutages(entries, { service: vmId, serviceName: 'web', untilMs })
}

describe('of a host', () => {
  test('that falls silent for a moment: suspected, and heard again', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', { spec: { probe, ha: false } })
    const home = homeOf(cloud, vmId)
    home.isCut = true
    await cloud.clock.until('it is suspected', () => cloud.host(home.spec.name).status.state === 'suspect')
    home.isCut = false
    await cloud.clock.until('it is heard', () => cloud.host(home.spec.name).status.state === 'online')
    await cloud.clock.advance(100)
    assert.deepEqual(await facts(cloud, vmId), ['host-suspect', 'host-heard'])
  })

  test('that dies: suspected, proven dead, and where the machine goes; the outage began when the host was last heard', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    const home = homeOf(cloud, vmId)
    serves(cloud, home, vmId)
    await cloud.clock.advance(5_000)
    const diedAtMs = cloud.clock.wallTime().getTime()
    home.isCut = true
    const isElsewhere = () => others(cloud, home).some((host) => cloud.agents.runningOn(vmId).includes(host.spec.name))
    await cloud.clock.until('it runs elsewhere', isElsewhere)
    assert.deepEqual(await facts(cloud, vmId), ['host-suspect', 'host-proven-dead power', 'decided resume-elsewhere'])
    const next = others(cloud, home).find((host) => host.machines.has(vmId))
    assert.ok(next)
    serves(cloud, next, vmId)
    await cloud.clock.advance(1_000)
    const [outage, ...more] = (await outages(cloud, vmId)).outages
    assert.deepEqual([outage?.cause, outage?.endedBy, more.length], ['host-died', 'answer', 0])
    assert.ok(Math.abs(Date.parse(outage?.beganAt ?? '') - diedAtMs) <= 260, `it began ${outage?.beganAt}`)
  })

  test('whose agent restarts: another session, and no outage', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    const home = homeOf(cloud, vmId)
    serves(cloud, home, vmId)
    await cloud.clock.advance(1_000)
    cloud.agents.restartAgent(home.spec.name)
    await cloud.clock.advance(1_000)
    assert.deepEqual(await facts(cloud, vmId), ['session-began'])
    assert.deepEqual((await outages(cloud, vmId)).outages, [])
  })

  test('that boots by itself: what ran on it is dead, which is an outage until it answers again', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    const home = homeOf(cloud, vmId)
    serves(cloud, home, vmId)
    await cloud.clock.advance(1_000)
    cloud.agents.reboot(home.spec.name)
    await cloud.clock.until('it runs again', () => cloud.agents.runningOn(vmId).length === 1)
    await cloud.clock.advance(1_000)
    serves(cloud, homeOf(cloud, vmId), vmId)
    await cloud.clock.advance(1_000)
    const seen = await facts(cloud, vmId)
    assert.deepEqual(seen.slice(0, 2).toSorted(), ['host-proven-dead rebooted', 'session-began'])
    const [outage] = (await outages(cloud, vmId)).outages
    assert.deepEqual([outage?.cause, outage?.endedBy], ['host-died', 'answer'])
  })

  test('that would take a machine over and looks at it too: its silence and its death concern that machine’s service', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    const machine = homeOf(cloud, vmId).machines.get(vmId)
    if (machine !== undefined) machine.image = makeImage('one')
    await cloud.clock.until('it has a standby', () => cloud.vm(vmId)?.standby?.imageId === imageIdOf('one'))
    const keeper = others(cloud, homeOf(cloud, vmId)).find(({ spec }) => spec.id === cloud.vm(vmId)?.standby?.hostId)
    assert.ok(keeper)
    keeper.isCut = true
    await cloud.clock.until('it is suspected', () => cloud.host(keeper.spec.name).status.state === 'suspect')
    await cloud.clock.advance(10)
    assert.deepEqual(await facts(cloud, vmId), ['host-suspect'])
  })

  test('that carries nothing of a service is no business of it', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    for (const host of others(cloud, homeOf(cloud, vmId))) cloud.agents.restartAgent(host.spec.name)
    await cloud.clock.advance(2_000)
    assert.deepEqual(await facts(cloud, vmId), [])
  })

  test('that dies with a machine which nobody probes: its process was its service', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    home.isCut = true
    await cloud.clock.until(
      'it is placed elsewhere',
      () => cloud.vm(vmId)?.placement?.hostId !== hostIdOf(home.spec.name),
    )
    await cloud.clock.advance(10)
    assert.deepEqual(await facts(cloud, vmId), ['host-suspect', 'host-proven-dead power', 'decided boot'])
  })
})

describe('of what its owner wants', () => {
  test('a stop and a start: away until it answers again, and no outage', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    serves(cloud, homeOf(cloud, vmId), vmId)
    await cloud.clock.advance(1_000)
    await cloud.change(vmId, { desired: 'stopped' })
    await cloud.clock.advance(60_000)
    await cloud.change(vmId, { desired: 'running' })
    await cloud.clock.until('it runs', () => cloud.agents.runningOn(vmId).length === 1)
    serves(cloud, homeOf(cloud, vmId), vmId)
    await cloud.clock.advance(2_000)
    assert.deepEqual(await facts(cloud, vmId), ['planned-began stop', 'planned-ended stop'])
    const { intervals, outages: found } = await outages(cloud, vmId)
    assert.deepEqual(found, [])
    const plannedMs = intervals
      .filter(({ condition }) => condition === 'planned')
      .map(({ fromMs, toMs }) => toMs - fromMs)
    assert.ok(
      plannedMs.length === 1 && Math.abs((plannedMs[0] ?? 0) - 60_000) < 2_000,
      `it was away for ${plannedMs.join(' and ')} ms`,
    )
    assert.equal(intervals.at(-1)?.condition, 'up')
  })

  test('a guest that switches itself off is away by its own wish', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    cloud.agents.shutDownGuest(homeOf(cloud, vmId).spec.name, vmId)
    await cloud.clock.until('it is accepted', () => cloud.vm(vmId)?.spec.desired === 'stopped')
    await cloud.clock.advance(10)
    assert.deepEqual(await facts(cloud, vmId), ['planned-began stop'])
  })

  test('a deletion: from the wish on nobody expects it to answer, and in the end it is no more', async () => {
    await using cloud = await startCloud(fenced)
    const vmId = await cloud.createRunning('web', served)
    await cloud.delete(vmId)
    await cloud.clock.until('it is gone', () => cloud.vm(vmId) === undefined)
    await cloud.clock.advance(10)
    assert.deepEqual(await facts(cloud, vmId), ['planned-began delete', 'planned-ended delete'])
  })
})
