/** Sets of clones: every order meets with a mishap, under virtual time, against fake hosts; and what is asked for over the API. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import type { Call } from '../../engine/fake-agents.fixture.ts'
import { arrange, letItEnd, mishaps } from '../../engine/mishaps.fixture.ts'
import { taskIdSchema } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import { cloneDisksSaga } from './clone-disks-saga.ts'
import { cloneSetHandlers } from './clone-set-handlers.ts'
import { cloneSetSaga } from './clone-set-saga.ts'

const addresses: Readonly<Record<string, string>> = { web: '10.0.0.12', db: '10.0.0.11' }
const origins = Object.keys(addresses)
const open = () =>
  startCloud({
    hosts: [{ name: 'ada' }, { name: 'bob' }],
    moreSagas: (leader, tasks) => [cloneDisksSaga(leader, tasks, { epochFloor: () => 1 }), cloneSetSaga(leader, tasks)],
  })

async function start(cloud: Cloud, areOff: readonly string[] = []): Promise<void> {
  for (const name of origins) {
    const vmId = await cloud.createRunning(name, { spec: { address: addresses[name] ?? '' } })
    if (!areOff.includes(name)) continue
    await cloud.change(vmId, { desired: 'stopped', stopMode: 'kill' })
    await cloud.clock.until('it is down', () => cloud.vm(vmId)?.status?.state === 'stopped', 10_000)
  }
}

async function ask(cloud: Cloud, changes: object = {}) {
  const agents = { ...cloud.agents.port, client: () => assert.fail('no stream'), close: async () => undefined }
  const handlers = cloneSetHandlers({ engine: cloud.engine(), agents })
  const body = { vms: origins, isolated: 'test', start: true, ...changes }
  const scope = { signal: new AbortController().signal, after: undefined }
  const ann = { name: 'ann', role: 'administrator' } as const
  const { task } = await handlers.cloneSet({ params: undefined, query: undefined, body }, ann, scope)
  return taskIdSchema.parse(task.id)
}

const named = (cloud: Cloud, name: string) => [...cloud.state().vms.values()].find(({ spec }) => spec.name === name)

/** Of the set all or nothing; of the origins nothing but what they were. */
function check(cloud: Cloud): 'whole' | 'nothing' {
  const { vms, networks, snapshots } = cloud.state()
  const copies = [...vms.values()].filter(({ spec }) => !origins.includes(spec.name))
  const volumes = [...vms.values()].flatMap(({ spec }) => spec.disks.map(({ volumeId }) => volumeId))
  assert.deepEqual([...cloud.agents.volumes].toSorted(), volumes.toSorted())
  assert.deepEqual([[...snapshots.keys()], [...cloud.agents.layers.snapshots.keys()]], [[], []], 'a snapshot is left')
  for (const { operation } of vms.values()) assert.equal(operation, undefined, 'an operation is left open')
  assert.deepEqual([cloud.agents.layers.violations, cloud.agents.twoWriters, cloud.agents.disks.troubles], [[], [], []])
  if (copies.length === 0) {
    assert.deepEqual([...networks.keys()], [], 'its network is left')
    return 'nothing'
  }
  const [network] = networks.values()
  assert.ok(network)
  for (const name of origins) {
    const [origin, copy] = [named(cloud, name)?.spec, named(cloud, `${name}-copy`)?.spec]
    assert.ok(origin && copy)
    assert.equal(copy.lifecycle, 'live')
    assert.deepEqual(
      nicsOf(copy).map(({ networkId, address }) => [networkId, address]),
      [[network.id, origin.address]],
    )
    assert.notEqual(copy.macAddress, origin.macAddress)
    assert.deepEqual(copy.tags, ['set.test'])
  }
  return 'whole'
}

describe('a set of clones', () => {
  const moments: readonly { readonly call: Call; readonly nth?: number; readonly areOff?: readonly string[] }[] = [
    { call: 'holdMachine' },
    { call: 'snapshotMachine', nth: 2 },
    { call: 'linkMachineDisks' },
    { call: 'linkMachineDisks', nth: 2 },
    { call: 'linkDisks', areOff: ['db'] },
    { call: 'removeSnapshot' },
  ]
  for (const { areOff = [], ...moment } of moments)
    for (const mishap of mishaps)
      test(`whose ${moment.call} ${moment.nth ?? 1} ${mishap}, is whole or nothing of it is left`, async () => {
        await using cloud = await open()
        await start(cloud, areOff)
        arrange(cloud, mishap, moment)
        await ask(cloud)
        await letItEnd(cloud)
        const outcome = check(cloud)
        for (const name of origins)
          assert.equal(named(cloud, name)?.status?.state, areOff.includes(name) ? 'stopped' : 'running')
        if (outcome === 'whole')
          for (const name of origins) assert.equal(named(cloud, `${name}-copy`)?.status?.state, 'running')
      })

  test('of which one can’t be made is not there, with its network', async () => {
    await using cloud = await open()
    await start(cloud)
    let links = 0
    cloud.agents.intercept = (call, at) => {
      if (call === 'linkMachineDisks' && at === 'before') links += 1
      if (call === 'linkMachineDisks' && at === 'before' && links > 1) throw new Error('the storage is full')
    }
    const taskId = await ask(cloud)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'failed')
    assert.equal(check(cloud), 'nothing')
  })

  test('that is called off leaves nothing', async () => {
    await using cloud = await open()
    await start(cloud)
    cloud.agents.takesMs.set('linkMachineDisks', 2_000)
    const taskId = await ask(cloud)
    await cloud.clock.until('it is cloned', () => cloud.agents.orders.some((order) => order.startsWith('linkMachine')))
    void cloud.engine().tasks.cancel(taskId)
    await letItEnd(cloud)
    assert.equal(cloud.taskState(taskId), 'cancelled')
    assert.equal(check(cloud), 'nothing')
  })

  test('is refused before anything is made: a missing member by its name, both kinds of network or none', async () => {
    await using cloud = await open()
    await start(cloud)
    const before = cloud.state().tasks.size
    await assert.rejects(ask(cloud, { vms: ['web', 'gone', 'db', 'lost'] }), {
      code: 'not-found',
      message: /^there is no VM gone, lost: nothing was cloned$/,
    })
    await assert.rejects(ask(cloud, { network: 'flat' }), { code: 'invalid-input' })
    await assert.rejects(ask(cloud, { isolated: undefined, network: 'never' }), { code: 'not-found' })
    assert.deepEqual([cloud.state().tasks.size, cloud.state().networks.size], [before, 0])
  })
})
