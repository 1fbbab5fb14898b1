import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { startCloud } from '../cloud.fixture.ts'
import { answerOfLiving } from './answer-of-living.ts'

const isUnreachable = (error: unknown) => error instanceof DialtoneError && error.code === 'host-unreachable'
const never = () => new Promise<never>(() => undefined)

describe('an answer that is waited for', () => {
  test('is given up as soon as its host is proven dead, and not asked for any more', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }, { name: 'cyd' }] })
    const [home = ''] = cloud.agents.runningOn(await cloud.createRunning('web'))
    const answer = assert.rejects(answerOfLiving(cloud.engine().leader, cloud.host(home).spec, never), isUnreachable)
    cloud.agents.host(home).isCut = true
    await cloud.clock.until('it is proven dead', () => cloud.host(home).status.proof !== null)
    await answer
    const asked = answerOfLiving(cloud.engine().leader, cloud.host(home).spec, async () => 'done')
    await assert.rejects(asked, isUnreachable)
  })

  test('is what the host says, as long as it is not proven dead', async () => {
    await using cloud = await startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
    const { spec } = cloud.host('ada')
    assert.equal(await answerOfLiving(cloud.engine().leader, spec, async () => 'done'), 'done')
    const refusal = new DialtoneError('in-use', 'it is in use')
    await assert.rejects(
      answerOfLiving(cloud.engine().leader, spec, () => Promise.reject(refusal)),
      refusal,
    )
  })
})
