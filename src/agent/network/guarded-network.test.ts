import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeFirewall } from '../firewall/fake/fake-firewall.ts'
import { createFakeNetwork } from './fake/fake-network.ts'
import { guardNetwork } from './guarded-network.ts'
import { cardOf, testNetwork } from './network.contract.ts'

testNetwork('guarded network', async () => {
  const { network, answeredMacs } = makeWorld()
  return { network, answeredMacs }
})

test('a tap whose guard fails is neither made nor brought up', async () => {
  const { network, below, firewall } = makeWorld()
  firewall.setBroken(true)
  await assert.rejects(network.connect(cardOf(1)), /broken/)
  await assert.rejects(network.prepareTap(cardOf(2)), /broken/)
  assert.deepEqual(await network.listTaps(), [])
  await below.prepareTap(cardOf(3))
  await assert.rejects(network.plug(cardOf(3)), /broken/)
  assert.deepEqual(below.pluggedTaps(), [])
})

test('plugging a tap that was guarded when it was prepared waits for no firewall', async () => {
  const { network, below, firewall } = makeWorld()
  await network.prepareTap(cardOf(1))
  firewall.setBroken(true)
  await network.plug(cardOf(1))
  assert.deepEqual(below.pluggedTaps(), ['dt1'])
  await assert.rejects(
    network.plug({ ...cardOf(1), address: '10.90.0.77' }),
    /broken/,
    'another address is not guarded',
  )
})

test('taps that are removed or disconnected are guarded no more, and adoption guards what runs', async () => {
  const { network, firewall } = makeWorld()
  const guarded = () => firewall.guardedTaps().map(({ tapName }) => tapName)
  for (const number of [1, 2, 3]) await network.connect(cardOf(number))
  await network.removeTap('dt1')
  await network.disconnect(cardOf(2))
  assert.deepEqual(guarded(), ['dt3'])
  await network.adopt([cardOf(4)])
  assert.deepEqual(guarded(), ['dt4'])
})

function makeWorld() {
  const below = createFakeNetwork()
  const firewall = createFakeFirewall()
  const answeredMacs = async () =>
    below
      .dhcpCards()
      .map(({ macAddress }) => macAddress)
      .sort()
  return { below, firewall, network: guardNetwork(below, firewall), answeredMacs }
}
