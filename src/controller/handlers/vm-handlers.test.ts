/** What may be asked of a VM when it isn't a plain running one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { vmHandlers } from './vm-handlers.ts'

const caller = { name: 'ann', role: 'operator' } as const
const scope = { signal: new AbortController().signal, after: undefined }

const remove = async (cloud: Cloud) => {
  const client = () => assert.fail('no agent is streamed from here')
  const agents = { ...cloud.agents.port, client, close: async () => undefined }
  const input = { params: { vm: 'web' }, query: { force: false, protectedToo: false }, body: undefined }
  return vmHandlers({ engine: cloud.engine(), agents }).deleteVm(input, caller, scope)
}

test('a VM that is being made is not deleted; one that was left half made is', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  cloud.agents.takesMs.set('createVolume', 60_000)
  const { vmId, taskId } = await cloud.create('web')
  await assert.rejects(remove(cloud), { code: 'wrong-state', message: /still being made/ })
  await cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running', 120_000)
  await cloud.clock.until('the task has ended', () => cloud.taskState(taskId) === 'succeeded')
  await cloud.change(vmId, { lifecycle: 'creating' })
  await remove(cloud)
  await cloud.clock.until('it is gone', () => cloud.vm(vmId) === undefined)
})
