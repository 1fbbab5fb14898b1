import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCluster, makeHost, makeVm } from '../../model/cluster-state.fixture.ts'
import { flatNetworkId } from '../../model/ids.ts'
import { makeNetwork } from '../../model/network.fixture.ts'
import { nicsOf } from '../../model/network.ts'
import { assignNic, assignNics, type NicWish } from './assign-nics.ts'

const dev = makeNetwork('dev', 1, { prefix6: 'fd00:5::/64' })
const shop = makeNetwork('shop', 300)

function assigned(wishes: readonly [NicWish, ...NicWish[]], parts: Parameters<typeof makeCluster>[0] = {}) {
  const nics = assignNics(makeCluster({ networks: [dev, shop], ...parts }), wishes)
  assert(!('kind' in nics), JSON.stringify(nics))
  return nics
}

function refusal(wishes: readonly [NicWish, ...NicWish[]], parts: Parameters<typeof makeCluster>[0] = {}) {
  const nics = assignNics(makeCluster({ networks: [dev, shop], ...parts }), wishes)
  assert('kind' in nics)
  return nics
}

test('each card gets the first free address of its network, and a MAC that no other network can give', () => {
  const [first, second, third] = assigned([{ network: 'dev' }, { network: 'shop' }, { network: 'flat' }])
  assert.deepEqual([first.number, first.address, first.macAddress], [0, '10.5.0.2', '52:00:01:05:00:02'])
  assert.equal(first.address6, 'fd00:5:0:0:5000:1ff:fe05:2')
  assert.deepEqual([second?.number, second?.address, second?.macAddress], [1, '10.5.0.2', '52:01:2c:05:00:02'])
  assert.equal(second?.address6, null)
  assert.deepEqual([second?.mtu, third?.mtu], [1450, null])
  assert.deepEqual([third?.number, third?.networkId, third?.macAddress], [2, flatNetworkId, '52:54:0a:00:00:0a'])
})

test('an address is taken in its own network only', () => {
  const nics = [...assigned([{ network: 'dev', address: '10.5.0.2' }])]
  const vms = [makeVm('web', { spec: { nics, address: '10.5.0.2' } })]
  assert.equal(refusal([{ network: 'dev', address: '10.5.0.2' }], { vms }).code, 'address-taken')
  assert.equal(assigned([{ network: 'dev' }], { vms })[0].address, '10.5.0.3')
  assert.equal(assigned([{ network: 'shop', address: '10.5.0.2' }], { vms })[0].address, '10.5.0.2')
})

test('what a network can’t give is refused with the reason', () => {
  assert.equal(refusal([{ network: 'nowhere' }]).code, 'not-found')
  assert.match(refusal([{ network: 'dev', address: '10.5.0.77' }]).message, /10\.5\.0\.2 to 10\.5\.0\.9/)
  assert.equal(refusal([{ network: 'dev', address: '10.5.0.77' }]).code, 'invalid-input')
  assert.equal(refusal([{ network: 'dev' }, { network: dev.id }]).code, 'in-use')
  assert.equal(refusal([{ network: 'flat' }], { network: null }).code, 'wrong-state')
  const hosts = [makeHost('h1', { spec: { address: '10.0.0.9' } })]
  const [host] = hosts
  assert(host !== undefined)
  const network = { subnet: '10.0.0.0/16', gateway: '10.0.0.1', addressFrom: '10.0.0.2', addressTo: '10.0.255.250' }
  assert.equal(refusal([{ network: 'flat', address: host.spec.address }], { hosts, network }).code, 'address-taken')
})

test('a card that comes later takes the number that became free', () => {
  const nics = assigned([{ network: 'flat' }, { network: 'dev' }, { network: 'shop' }])
  const rest = nics.filter(({ networkId }) => networkId !== dev.id)
  const again = assignNic(makeCluster({ networks: [dev, shop] }), { name: 'web', nics: rest }, { network: 'dev' })
  assert.equal('kind' in again ? again.message : again.number, 1)
})

test('a machine of before there were several networks has one card, in the flat one', () => {
  const { spec } = makeVm('web')
  assert.deepEqual(nicsOf(spec), [
    {
      number: 0,
      networkId: flatNetworkId,
      macAddress: spec.macAddress,
      address: spec.address,
      address6: null,
      mtu: null,
    },
  ])
})
