import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cardOf, failsWith, testNetwork } from '../network.contract.ts'
import { createFakeNetwork } from './fake-network.ts'

testNetwork('fake network', async () => {
  const network = createFakeNetwork()
  return {
    network,
    answeredMacs: async () =>
      network
        .dhcpCards()
        .map(({ macAddress }) => macAddress)
        .sort(),
  }
})

test('a broken network refuses until it is repaired', async () => {
  const network = createFakeNetwork()
  network.setBroken(true)
  await assert.rejects(network.connect(cardOf(1)), failsWith('network-failed'))
  network.setBroken(false)
  await network.connect(cardOf(1))
})
