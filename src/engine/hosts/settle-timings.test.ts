import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leaseProofAfterMs } from '../../model/protection/bounds.ts'
import { defaultTimings } from '../../model/timings.ts'
import { type Cloud, startCloud } from '../cloud.fixture.ts'
import { keys } from '../state/keys.ts'

const three = { hosts: [{ name: 'ada' }, { name: 'bob' }, { name: 'cyd' }] }
const former = { ...defaultTimings, leaseMs: 3 * defaultTimings.leaseMs }

/** As a controller does that starts with shorter times than before. */
async function makeShorter(cloud: Cloud): Promise<void> {
  const { cluster } = cloud.engine().leader.index.state()
  const value = JSON.stringify({ ...cluster, formerTimings: former })
  await cloud.store.commit({ conditions: [], writes: [{ kind: 'put', key: keys.cluster, value }] })
}
const formerOf = (cloud: Cloud) => cloud.engine().leader.index.state().cluster.formerTimings

test('times that were made shorter count once every host has told that it counts with them', async () => {
  await using cloud = await startCloud(three)
  await makeShorter(cloud)
  await cloud.clock.until('they count', () => formerOf(cloud) !== null)
  await cloud.clock.until('they are settled', () => formerOf(cloud) === null)
})

test('a host that fell silent before it could hear of them is proven dead by the times that it may hold', async () => {
  await using cloud = await startCloud(three)
  const vmId = await cloud.createRunning('web')
  const [home = ''] = cloud.agents.runningOn(vmId)
  cloud.agents.host(home).isCut = true
  await makeShorter(cloud)
  await cloud.clock.until('it is proven dead', () => cloud.host(home).status.proof !== null)
  const { proof } = cloud.host(home).status
  assert.ok(proof?.kind === 'lease' && proof.silentMs >= leaseProofAfterMs(former), JSON.stringify(proof))
  assert.notEqual(formerOf(cloud), null)
})
