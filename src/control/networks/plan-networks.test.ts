import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostIdOf,
  imageIdOf,
  makeCluster,
  makeHost,
  makeVm,
  sessionIdOf,
  someTime,
  type VmChanges,
} from '../../model/cluster-state.fixture.ts'
import { makeNetwork } from '../../model/network.fixture.ts'
import type { VirtualNetwork } from '../../model/network.ts'
import { planNetworks } from './plan-networks.ts'

const [dev, shop] = [makeNetwork('dev', 1), makeNetwork('shop', 2)]
const hosts = ['h1', 'h2', 'h3'].map((name, index) => makeHost(name, { spec: { address: `10.0.9.${index + 1}` } }))
const addressOf = (name: string) => hosts.find(({ spec }) => spec.name === name)?.spec.address

function vmIn(network: VirtualNetwork, name: string, changes: VmChanges & { readonly address: string }) {
  const { address, ...rest } = changes
  const nic = {
    number: 0,
    networkId: network.id,
    macAddress: `52:00:01:00:00:0${address.split('.')[3]}`,
    address,
    address6: null,
    mtu: 1450,
  }
  return makeVm(name, { ...rest, spec: { address, macAddress: nic.macAddress, nics: [nic], ...rest.spec } })
}

test('a network is on the hosts of its machines only, and each knows the others and where every machine is', () => {
  const vms = [vmIn(dev, 'a', { on: 'h1', address: '10.5.0.2' }), vmIn(dev, 'b', { on: 'h2', address: '10.5.0.3' })]
  const plan = planNetworks(makeCluster({ hosts, networks: [dev, shop], vms: [...vms, makeVm('flat', { on: 'h3' })] }))
  assert.deepEqual([...plan.keys()], [hostIdOf('h1'), hostIdOf('h2')])
  const [first, ...more] = plan.get(hostIdOf('h1')) ?? []
  assert(first !== undefined)
  assert.equal(more.length, 0)
  assert.equal(first.localAddress, addressOf('h1'))
  assert.deepEqual(first.peers, [addressOf('h2')])
  assert.deepEqual(first.forwarding, [{ macAddress: '52:00:01:00:00:03', hostAddress: addressOf('h2') }])
  assert.deepEqual(
    first.names.map(({ name, address }) => `${name} ${address}`),
    ['a 10.5.0.2', 'b 10.5.0.3'],
  )
})

test('the host that would take a machine over has its network before', () => {
  const standby = {
    hostId: hostIdOf('h3'),
    session: sessionIdOf('h3'),
    imageId: imageIdOf('warm'),
    chosenAt: someTime,
    reason: '',
  }
  const vm = { ...vmIn(dev, 'a', { on: 'h1', address: '10.5.0.2' }), standby }
  const plan = planNetworks(makeCluster({ hosts, networks: [dev], vms: [vm] }))
  assert.deepEqual([...plan.keys()], [hostIdOf('h1'), hostIdOf('h3')])
  assert.deepEqual(plan.get(hostIdOf('h3'))?.[0]?.forwarding, [
    { macAddress: '52:00:01:00:00:02', hostAddress: addressOf('h1') },
  ])
})

test('a machine that is nowhere needs no devices, and neither does a network without machines', () => {
  const vm = vmIn(dev, 'a', { address: '10.5.0.2' })
  assert.equal(planNetworks(makeCluster({ hosts, networks: [dev, shop], vms: [vm] })).size, 0)
})

test('machines of two networks with the same address don’t meet in any host’s plan', () => {
  const vms = [vmIn(dev, 'a', { on: 'h1', address: '10.5.0.2' }), vmIn(shop, 'b', { on: 'h1', address: '10.5.0.2' })]
  const shares = planNetworks(makeCluster({ hosts, networks: [shop, dev], vms })).get(hostIdOf('h1')) ?? []
  assert.deepEqual(
    shares.map(({ networkId, number, names }) => [networkId, number, names.map(({ name }) => name)]),
    [
      [dev.id, 1, ['a']],
      [shop.id, 2, ['b']],
    ],
  )
})
