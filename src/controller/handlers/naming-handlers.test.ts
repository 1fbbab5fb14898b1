/** Names, tags and notes of VMs, under virtual time, against fake hosts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planNetworks } from '../../control/networks/plan-networks.ts'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { keys } from '../../engine/state/keys.ts'
import { namingHandlers } from './naming-handlers.ts'
import { vmHandlers } from './vm-handlers.ts'

const caller = { name: 'ann', role: 'operator' } as const
const scope = { signal: new AbortController().signal, after: undefined }
const contextOf = (cloud: Cloud) => {
  const client = () => assert.fail('no agent is streamed from here')
  return { engine: cloud.engine(), agents: { ...cloud.agents.port, client, close: async () => undefined } }
}
const rename = async (cloud: Cloud, vm: string, name: string) =>
  namingHandlers(contextOf(cloud)).nameVm({ params: { vm }, query: undefined, body: { name } }, caller, scope)
const tag = async (cloud: Cloud, add: readonly string[], remove: readonly string[] = []) =>
  namingHandlers(contextOf(cloud)).tagVm(
    { params: { vm: 'web' }, query: undefined, body: { add: [...add], remove: [...remove] } },
    caller,
    scope,
  )

test('a VM has its new name everywhere at once, and the old one is free for another', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  const vmId = await cloud.createRunning('web')
  const before = cloud.vm(vmId)?.placement
  await rename(cloud, 'web', 'shop')
  assert.equal(cloud.vm(vmId)?.spec.name, 'shop')
  assert.equal((await cloud.store.get(keys.nameClaim('vm', 'shop')))?.value, JSON.stringify(vmId))
  assert.equal(await cloud.store.get(keys.nameClaim('vm', 'web')), undefined)
  const names = [...planNetworks(cloud.state()).values()].flat().flatMap((network) => JSON.stringify(network))
  assert.equal(
    names.some((text) => text.includes('"web"')),
    false,
    'its network still answers to the old name',
  )
  await cloud.clock.advance(3_000)
  assert.deepEqual(cloud.vm(vmId)?.placement, before, 'it was not left alone')
  await cloud.delete(vmId)
  await cloud.clock.until('it is gone', () => cloud.vm(vmId) === undefined)
  assert.deepEqual(await cloud.leftovers(), [])
})

test('a name that another one has is refused, also when both ask for it at the same time', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  await cloud.createRunning('web')
  await cloud.createRunning('app')
  await assert.rejects(rename(cloud, 'web', 'app'), { code: 'name-taken' })
  const both = await Promise.allSettled([rename(cloud, 'web', 'shop'), rename(cloud, 'app', 'shop')])
  assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

test('a VM keeps its name while a task is about it', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  cloud.agents.takesMs.set('createVolume', 5_000)
  const { vmId } = await cloud.create('web')
  await assert.rejects(rename(cloud, 'web', 'shop'), { code: 'wrong-state' })
  await cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running', 60_000)
  cloud.agents.takesMs.set('snapshotMachine', 5_000)
  const wish = { name: 'now', note: '', kind: 'disk', origin: 'user', setId: null, isProtected: false } as const
  const spec = cloud.vm(vmId)?.spec ?? assert.fail('it is gone')
  await cloud.engine().snapshots.take(spec, { ...wish, freeze: 'never' }, 'ann')
  await assert.rejects(rename(cloud, 'web', 'shop'), { code: 'in-use', message: /task watch/ })
})

test('tags are a sorted set of bounded size, by which machines are listed', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  await cloud.createRunning('web')
  await cloud.createRunning('app')
  assert.deepEqual((await tag(cloud, ['shop', 'blue', 'shop'])).tags, ['blue', 'shop'])
  assert.deepEqual((await tag(cloud, ['red'], ['shop'])).tags, ['blue', 'red'])
  const many = Array.from({ length: 31 }, (_, index) => `tag-${index}`)
  await assert.rejects(tag(cloud, many), { code: 'invalid-input' })
  const list = async (wanted: string | undefined) =>
    vmHandlers(contextOf(cloud)).listVms({ params: undefined, query: { tag: wanted }, body: undefined }, caller, scope)
  assert.deepEqual(
    (await list('red')).vms.map(({ name }) => name),
    ['web'],
  )
  assert.deepEqual((await list('green')).vms, [])
  assert.equal((await list(undefined)).vms.length, 2)
})

test('who changed a name, tags or a note is in the events', async () => {
  await using cloud = await startCloud({ hosts: [{ name: 'ada' }] })
  await cloud.createRunning('web')
  await tag(cloud, ['blue'])
  const note = { params: { vm: 'web' }, query: undefined, body: { note: 'of the shop' } }
  const noted = await namingHandlers(contextOf(cloud)).noteVm(note, caller, scope)
  assert.equal(noted.note, 'of the shop')
  await rename(cloud, 'web', 'shop')
  const { entries } = await cloud.store.range('event/')
  const ours = entries.filter(({ value }) => /vm\.(noted|renamed)/.test(value))
  assert.equal(ours.length, 3)
  for (const { value } of ours) assert.match(value, /"user":"ann"/)
})
