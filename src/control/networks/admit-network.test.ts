import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCluster, makeHost } from '../../model/cluster-state.fixture.ts'
import { networkIdSchema } from '../../model/ids.ts'
import { makeNetwork } from '../../model/network.fixture.ts'
import { numberOfMetadata } from '../../model/network.ts'
import { admitNetwork, describePoolFault, type NetworkWish } from './admit-network.ts'

const identity = { id: networkIdSchema.parse('net-bbbbbbbb'), createdAt: '2026-01-01T00:00:00.000Z' }
const wish: NetworkWish = { name: 'dev', kind: 'vxlan', subnet: '10.5.0.0/24', uplink: 'none' }

function admit(changes: Partial<NetworkWish>, parts: Parameters<typeof makeCluster>[0] = {}) {
  return admitNetwork(makeCluster(parts), { ...wish, ...changes }, identity)
}

function refusal(changes: Partial<NetworkWish>, parts: Parameters<typeof makeCluster>[0] = {}): string {
  const answer = admit(changes, parts)
  return answer.kind === 'refused' ? `${answer.code}: ${answer.message}` : 'admitted'
}

test('what is left out is chosen: the first address is the router’s, the MTU leaves room for VXLAN', () => {
  const answer = admit({ subnet: '10.5.0.7/24' })
  assert(answer.kind === 'admitted')
  const { network } = answer
  assert.deepEqual(network.pool, {
    subnet: '10.5.0.0/24',
    gateway: '10.5.0.1',
    addressFrom: '10.5.0.2',
    addressTo: '10.5.0.254',
  })
  assert.deepEqual([network.number, network.segment, network.mtu], [1, { kind: 'vxlan', vni: 1000 }, 1450])
  assert.equal(network.domain, 'dev.internal')
})

test('numbers and VNIs are those that nobody has', () => {
  const answer = admit({}, { networks: [makeNetwork('one', 1), makeNetwork('two', 3)] })
  assert(answer.kind === 'admitted')
  assert.deepEqual([answer.network.number, answer.network.segment], [2, { kind: 'vxlan', vni: 1001 }])
  assert.match(refusal({ vni: 1000 }, { networks: [makeNetwork('one', 1)] }), /^in-use: .* is the network one$/)
})

test('the number whose asking address is that of the metadata is nobody’s', () => {
  const taken = Array.from({ length: numberOfMetadata - 1 }, (_one, index) => makeNetwork(`n${index}`, index + 1))
  const answer = admit({ vni: 100_000 }, { networks: taken })
  assert(answer.kind === 'admitted')
  assert.equal(answer.network.number, numberOfMetadata + 1)
})

test('addresses may be those of another network, but not those of the hosts where machines must reach them', () => {
  const networks = [makeNetwork('one', 1)]
  assert.equal(refusal({ uplink: 'nat' }, { networks }), 'admitted')
  const hosts = [makeHost('h1')]
  const subnet = `${hosts[0]?.spec.address}/24`
  assert.equal(refusal({ subnet }, { hosts }), 'admitted')
  assert.match(refusal({ subnet, uplink: 'nat' }, { hosts, network: null }), /overlaps the hosts' own network: h1/)
  assert.match(refusal({ subnet: '10.0.0.0/16', uplink: 'nat' }), /overlaps the flat network/)
  const routed = [makeNetwork('one', 1, { uplink: 'routed' })]
  assert.match(refusal({ uplink: 'routed' }, { networks: routed }), /overlaps one, .* routed too/)
})

test('what does not fit together is refused', () => {
  assert.match(refusal({ name: 'flat' }), /^name-taken/)
  assert.match(refusal({ name: 'one' }, { networks: [makeNetwork('one', 1)] }), /^name-taken/)
  assert.match(refusal({ gateway: '10.6.0.1' }), /10\.6\.0\.1 is not in the subnet/)
  assert.match(refusal({ kind: 'vlan' }), /^invalid-input: a VLAN needs its id/)
  assert.equal(refusal({ kind: 'vlan', vlanId: 7, interface: 'eth1' }), 'admitted')
  const pool = { subnet: '10.5.0.0/24', gateway: '10.5.0.1', addressFrom: '10.5.0.9', addressTo: '10.5.0.2' }
  assert.match(describePoolFault(pool) ?? '', /is above the last/)
})
