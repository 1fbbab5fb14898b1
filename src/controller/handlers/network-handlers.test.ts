/** Networks and the cards in them, over the API, in a cloud in memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, startCloud } from '../../engine/cloud.fixture.ts'
import { createNetworkSchema } from '../../model/api/network-routes.ts'
import { createVmSchema } from '../../model/api/vm-routes.ts'
import { hostIdOf } from '../../model/cluster-state.fixture.ts'
import { type VmId, vmIdSchema } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import { networkHandlers } from './network-handlers.ts'
import { vmHandlers } from './vm-handlers.ts'
import { watchNouns } from './watch-streams.ts'

const caller = { name: 'ann', role: 'administrator' } as const
const scope = { signal: new AbortController().signal, after: undefined }
const none = { params: undefined, query: undefined, body: undefined }

function operate(cloud: Cloud) {
  const client = () => assert.fail('no agent is streamed from here')
  const context = { engine: cloud.engine(), agents: { ...cloud.agents.port, client, close: async () => undefined } }
  const networks = networkHandlers(context)
  const vms = vmHandlers(context)
  return {
    makeNetwork: async (name: string, changes: object = {}) => {
      const body = createNetworkSchema.parse({ name, subnet: '10.5.0.0/24', ...changes })
      return networks.createNetwork({ ...none, body }, caller, scope)
    },
    deleteNetwork: async (network: string) => networks.deleteNetwork({ ...none, params: { network } }, caller, scope),
    list: async () => (await networks.listNetworks(none, caller, scope)).networks,
    makeVm: async (name: string, changes: object = {}) => {
      const body = createVmSchema.parse({ name, template: 'tiny', networks: [{ network: 'dev' }], ...changes })
      const { vm } = await vms.createVm({ ...none, body }, caller, scope)
      return { ...vm, id: vmIdSchema.parse(vm.id) }
    },
    addNic: async (vm: string, body: { network: string; address?: string }) =>
      networks.addNic({ params: { vm }, query: undefined, body }, caller, scope),
    watch: (signal: AbortSignal) => watchNouns(context, { signal, after: undefined }),
    removeNic: async (vm: string, nic: string) => networks.removeNic({ ...none, params: { vm, nic } }, caller, scope),
  }
}

const open = () => startCloud({ hosts: [{ name: 'ada' }, { name: 'bob' }] })
const runs = (cloud: Cloud, vmId: VmId) =>
  cloud.clock.until('it runs', () => cloud.vm(vmId)?.status?.state === 'running')

test('a network that a VM has a card in is not deleted; without one it goes, and its name is free', async () => {
  await using cloud = await open()
  const { makeNetwork, deleteNetwork, makeVm, list } = operate(cloud)
  await makeNetwork('dev')
  const vm = await makeVm('web')
  await runs(cloud, vm.id)
  await assert.rejects(deleteNetwork('dev'), { code: 'in-use', message: /dev is used by web/ })
  await assert.rejects(deleteNetwork('flat'), { code: 'wrong-state' })
  await assert.rejects(makeNetwork('dev'), { code: 'name-taken' })
  const [, dev] = await list()
  assert.deepEqual([dev?.name, dev?.vmNames, dev?.hostNames.length], ['dev', ['web'], 1])
  const taskId = await cloud.delete(vm.id)
  await cloud.clock.until('it is gone', () => cloud.taskState(taskId) === 'succeeded')
  await deleteNetwork('dev')
  assert.deepEqual(
    (await list()).map(({ name }) => name),
    ['flat'],
  )
  assert.equal((await makeNetwork('dev')).number, 1)
})

test('an address outside of its pool is refused with the addresses that there are: for a VM, a card and a network', async () => {
  await using cloud = await open()
  const { makeNetwork, makeVm, addNic } = operate(cloud)
  const pool = { addressFrom: '10.5.0.10', addressTo: '10.5.0.19' }
  await makeNetwork('dev', pool)
  const refused = {
    code: 'invalid-input',
    message: /10\.5\.0\.20 is not among .* of dev, 10\.5\.0\.10 to 10\.5\.0\.19/,
  }
  const networks = [{ network: 'dev', address: '10.5.0.20' }]
  await assert.rejects(makeVm('web', { networks }), refused)
  const vm = await makeVm('web', { networks: [{ network: 'flat' }], start: false })
  await cloud.clock.until('it is made', () => cloud.vm(vm.id)?.status?.state === 'stopped')
  await assert.rejects(addNic('web', { network: 'dev', address: '10.5.0.20' }), refused)
  const outside = { ...pool, addressTo: '10.6.0.19' }
  await assert.rejects(makeNetwork('shop', outside), { code: 'invalid-input', message: /10\.6\.0\.19 is not in/ })
  assert.equal(cloud.state().vms.size, 1)
})

for (const first of ['the VM', 'the deletion'] as const) {
  test(`a VM that enters a network while it is deleted finds it there or is refused, when ${first} comes first`, async () => {
    await using cloud = await open()
    const { makeNetwork, deleteNetwork, makeVm } = operate(cloud)
    await makeNetwork('dev')
    const works: (() => Promise<unknown>)[] = [() => makeVm('web'), () => deleteNetwork('dev')]
    if (first === 'the deletion') works.reverse()
    await Promise.allSettled(works.map((work) => work()))
    const [vm] = [...cloud.state().vms.values()]
    assert.equal(cloud.state().networks.size, vm === undefined ? 0 : 1)
  })
}

test('two machines that want the same address at the same time don’t both get it', async () => {
  await using cloud = await open()
  const { makeNetwork, makeVm } = operate(cloud)
  await makeNetwork('dev')
  const networks = [{ network: 'dev', address: '10.5.0.9' }]
  const made = await Promise.allSettled(['web', 'shop'].map((name) => makeVm(name, { networks })))
  assert.deepEqual(made.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
})

test('cards come and go while the machine is off, and take their addresses with them', async () => {
  await using cloud = await open()
  const { makeNetwork, makeVm, addNic, removeNic } = operate(cloud)
  await makeNetwork('dev')
  await makeNetwork('shop')
  const { id } = await makeVm('web')
  await runs(cloud, id)
  await cloud.change(id, { desired: 'stopped', stopMode: 'kill' })
  await cloud.clock.until('it is off', () => cloud.vm(id)?.status?.state === 'stopped')
  const added = await addNic('web', { network: 'shop', address: '10.5.0.7' })
  assert.deepEqual(
    added.nics.map(({ number, networkName, address }) => [number, networkName, address]),
    [
      [0, 'dev', '10.5.0.2'],
      [1, 'shop', '10.5.0.7'],
    ],
  )
  await assert.rejects(makeVm('twin', { networks: [{ network: 'shop', address: '10.5.0.7' }] }), {
    code: 'address-taken',
  })
  await assert.rejects(removeNic('web', 'dev'), { code: 'invalid-input', message: /first one/ })
  await assert.rejects(removeNic('web', '5'), { code: 'not-found' })
  await removeNic('web', 'shop')
  await cloud.clock.until('it is taken out', () => (cloud.vm(id)?.spec.nics.length ?? 0) === 1)
  const spec = cloud.vm(id)?.spec
  assert.equal(spec === undefined ? 0 : nicsOf(spec).length, 1)
  assert.equal((await makeVm('twin', { networks: [{ network: 'shop', address: '10.5.0.7' }] })).address, '10.5.0.7')
})

test('a host is told of the networks of its machines, and told anew only when something of them changed', async () => {
  await using cloud = await open()
  const { makeNetwork, makeVm } = operate(cloud)
  await makeNetwork('dev')
  const vm = await makeVm('web', { host: 'ada' })
  await runs(cloud, vm.id)
  const told = (name: string) => cloud.engine().configurationFor(hostIdOf(name))
  const before = told('ada')
  assert.deepEqual(
    before.networks.map(({ name }) => name),
    ['dev'],
  )
  assert.deepEqual(told('bob').networks, [])
  await makeVm('flat', { networks: [] })
  assert.equal(told('ada').revision, before.revision)
  await makeVm('twin', { host: 'bob', start: false })
  assert.notEqual(told('ada').revision, before.revision)
  assert.deepEqual(
    told('ada').networks[0]?.names.map(({ name }) => name),
    ['twin', 'web'],
  )
})

test('in every network the template says how a machine is probed, its owner may, and it may recover from memory', async () => {
  await using cloud = await open()
  const { makeNetwork, makeVm } = operate(cloud)
  for (const uplink of ['none', 'nat', 'routed']) await makeNetwork(uplink, { uplink })
  for (const network of ['none', 'nat', 'routed']) {
    const networks = [{ network }]
    assert.equal((await makeVm(`plain-${network}`, { networks })).probe?.check.kind, 'http')
    const probe = { check: { kind: 'tcp', port: 80 } }
    assert.equal((await makeVm(`own-${network}`, { networks, probe })).probe?.check.kind, 'tcp')
    await makeVm(`warm-${network}`, { networks, recovery: { mode: 'warm' } })
  }
})

test('who watches is told of networks and volumes as of everything else', async () => {
  await using cloud = await open()
  const { makeNetwork, makeVm, watch } = operate(cloud)
  const leaving = new AbortController()
  const seen = new Set<string>()
  const watching = (async () => {
    for await (const { data } of watch(leaving.signal)) seen.add(`${data.noun} ${data.change}`)
  })()
  await makeNetwork('dev')
  const vm = await makeVm('web')
  await runs(cloud, vm.id)
  await cloud.clock.until('both were told', () => seen.has('network put') && seen.has('volume put'))
  leaving.abort()
  await watching
})
