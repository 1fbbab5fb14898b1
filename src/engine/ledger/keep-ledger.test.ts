/** What agents see is stored exactly once, whatever gets lost on the way. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import type { VmId } from '../../model/ids.ts'
import type { RecoveryRecord } from '../../model/recovery/recovery-record.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { observe } from '../fake-host.fixture.ts'

const two = { hosts: [{ name: 'ada' }, { name: 'bob' }] }
const at = (cloud: Cloud) => cloud.clock.wallTime().toISOString()

const lost = (cloud: Cloud, vmId: VmId, detail: string): RecoveryRecord => ({
  kind: 'answer-lost',
  vmId,
  at: at(cloud),
  prober: 'own',
  lastCorrectAt: null,
  detail,
})
const cured = (cloud: Cloud, vmId: VmId, isCured = true): RecoveryRecord => {
  const life = { epoch: 1, incarnation: 1, rung: 'resume-here' } as const
  return { kind: 'rung-ended', vmId, at: at(cloud), ...life, isCured, tookMs: 90, detail: '' }
}
const told = async (cloud: Cloud, vmId: VmId) =>
  (await cloud.engine().ledger.entries(vmId)).flatMap(({ record }) =>
    record.kind === 'answer-lost' ? [record.detail] : [],
  )
const homeOf = (cloud: Cloud, vmId: VmId) => cloud.agents.host(cloud.agents.runningOn(vmId)[0] ?? '')

describe('what an agent has seen', () => {
  test('is stored once, and told no more when it is', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    observe(home, lost(cloud, vmId, 'one'), lost(cloud, vmId, 'two'))
    await cloud.clock.until('it has got rid of them', () => home.records.length === 0)
    observe(home, lost(cloud, vmId, 'three'))
    await cloud.clock.advance(5_000)
    assert.deepEqual(await told(cloud, vmId), ['one', 'two', 'three'])
    const lostEvents = (await cloud.events()).filter((event) => event === 'service.lost web')
    assert.equal(lostEvents.length, 3)
  })

  test('is stored once though every acknowledgement is lost, and though the controller crashes over it', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    const engine = cloud.engine()
    cloud.agents.receive = async (hostId, heartbeat) => {
      await engine.receiveHeartbeat(hostId, heartbeat)
      throw new Error('the answer got lost')
    }
    observe(home, lost(cloud, vmId, 'one'), lost(cloud, vmId, 'two'))
    await cloud.clock.advance(1_000)
    assert.equal(home.records.length, 2)
    cloud.crash()
    await cloud.clock.advance(300)
    await cloud.startEngine()
    await cloud.clock.until('it has got rid of them', () => home.records.length === 0)
    assert.deepEqual(await told(cloud, vmId), ['one', 'two'])
  })

  test('is not acknowledged before it is stored', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const { commit } = cloud.store
    cloud.store.commit = (transaction) =>
      transaction.writes.some(({ key }) => key.startsWith('ledger/'))
        ? Promise.reject(new Error('the disk is full'))
        : commit(transaction)
    const home = homeOf(cloud, vmId)
    observe(home, lost(cloud, vmId, 'one'))
    await cloud.clock.advance(10_000)
    assert.equal(home.records.length, 1)
    assert.equal(
      cloud.host(home.spec.name).status.state,
      'online',
      'a ledger that can’t be written costs no host its lease',
    )
    cloud.store.commit = commit
    await cloud.clock.until('it has got rid of it', () => home.records.length === 0)
    assert.deepEqual(await told(cloud, vmId), ['one'])
  })

  test('of a VM that was deleted meanwhile is dropped, and holds up nothing behind it', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    observe(home, lost(cloud, vmIdOf('gone'), 'nobody asks'), lost(cloud, vmId, 'one'))
    await cloud.clock.until('it has got rid of them', () => home.records.length === 0)
    assert.deepEqual(await told(cloud, vmId), ['one'])
    assert.deepEqual(await told(cloud, vmIdOf('gone')), [])
  })

  test('comes a hundred records a heartbeat, in order and without a gap', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    const names = Array.from({ length: 250 }, (_, index) => String(index))
    observe(home, ...names.map((name) => lost(cloud, vmId, name)))
    await cloud.clock.until('it has got rid of them', () => home.records.length === 0)
    assert.deepEqual(await told(cloud, vmId), names)
  })

  test('by a session that a newer one replaced is numbered apart', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    observe(home, lost(cloud, vmId, 'one'))
    await cloud.clock.until('it has got rid of it', () => home.records.length === 0)
    cloud.agents.restartAgent(home.spec.name)
    observe(home, lost(cloud, vmId, 'two'))
    await cloud.clock.until('it has got rid of it', () => home.records.length === 0)
    assert.deepEqual(await told(cloud, vmId), ['one', 'two'])
  })
})

describe('whoever waits until a service answers again', () => {
  /** Waits from now on; says whether it has come true. */
  async function wait(cloud: Cloud, vmId: VmId) {
    const since = await cloud.begin('test', { vmId })
    const ended = new AbortController()
    const state = { isServing: false, ended }
    void cloud
      .engine()
      .ledger.untilServing(vmId, { since, signal: ended.signal })
      .then(() => (state.isServing = true))
      .catch(() => undefined)
    return state
  }

  test('is told by a rung that cured it, not by one that failed or by an older one', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const home = homeOf(cloud, vmId)
    observe(home, cured(cloud, vmId))
    await cloud.clock.advance(1_000)
    const waiting = await wait(cloud, vmId)
    observe(home, lost(cloud, vmId, 'one'), cured(cloud, vmId, false))
    await cloud.clock.advance(2_000)
    assert.equal(waiting.isServing, false)
    observe(home, cured(cloud, vmId))
    await cloud.clock.until('it serves', () => waiting.isServing, 1_000)
  })

  test('is told so also by a host whose clock is years behind', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const waiting = await wait(cloud, vmId)
    observe(homeOf(cloud, vmId), { ...cured(cloud, vmId), at: '2001-01-01T00:00:00.000Z' })
    await cloud.clock.until('it serves', () => waiting.isServing, 1_000)
  })

  test('is told by the first correct answer after a start on another host', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const waiting = await wait(cloud, vmId)
    const bob = cloud.agents.host('bob')
    const life = { epoch: 2, incarnation: 0, rung: null, imageId: null, tookMs: 1 }
    observe(bob, { kind: 'machine-started', vmId, at: at(cloud), ...life })
    observe(bob, { kind: 'probing-began', vmId, at: at(cloud), prober: 'own', isCorrect: false })
    await cloud.clock.advance(2_000)
    assert.equal(waiting.isServing, false)
    observe(bob, { kind: 'answer-back', vmId, at: at(cloud), prober: 'own', lastWrongAt: null })
    await cloud.clock.until('it serves', () => waiting.isServing, 1_000)
  })

  for (const told of ['failure-detected', 'answer-lost'] as const) {
    test(`is told by the first correct answer that the next agent gets, when one ended after ${told}`, async () => {
      await using cloud = await startCloud(two)
      const vmId = await cloud.createRunning('web')
      const home = homeOf(cloud, vmId)
      const waiting = await wait(cloud, vmId)
      const cause = { failedAt: null, cause: 'process-died', detail: 'killed' } as const
      if (told === 'answer-lost') observe(home, lost(cloud, vmId, 'one'))
      else observe(home, { kind: told, vmId, at: at(cloud), epoch: 1, incarnation: 0, ...cause })
      observe(home, { kind: 'answer-back', vmId, at: at(cloud), prober: 'own', lastWrongAt: null })
      await cloud.clock.advance(2_000)
      assert.equal(waiting.isServing, false)
      cloud.agents.restartAgent(home.spec.name)
      observe(home, { kind: 'probing-began', vmId, at: at(cloud), prober: 'own', isCorrect: true })
      await cloud.clock.until('it serves', () => waiting.isServing, 1_000)
    })
  }

  test('stops waiting when it is told to', async () => {
    await using cloud = await startCloud(two)
    const vmId = await cloud.createRunning('web')
    const ended = new AbortController()
    const since = await cloud.begin('test', { vmId })
    const waiting = cloud.engine().ledger.untilServing(vmId, { since, signal: ended.signal })
    const outcome = waiting.then(
      () => 'serves',
      () => 'stopped',
    )
    ended.abort()
    await cloud.clock.advance(100)
    assert.equal(await outcome, 'stopped')
  })
})
