/** What every network driver promises. Each sibling's test calls `testNetwork` with a network of its own. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { HostNetwork } from '../../model/agent-protocol/host-network.ts'
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import { flatNetworkId, networkIdSchema, vmIdSchema } from '../../model/ids.ts'
import type { Network, NetworkCard } from './network.ts'

/** A network without machines. */
export type NetworkWorld = {
  readonly network: Network
  /** MAC addresses that DHCP answers, sorted. */
  answeredMacs(): Promise<readonly string[]>
}

export function testNetwork(driver: string, makeWorld: (t: TestContext) => Promise<NetworkWorld>): void {
  const scenario = (statement: string, play: (world: NetworkWorld) => Promise<void>) => {
    test(`${driver}: ${statement}`, async (t) => play(await makeWorld(t)))
  }

  scenario('a connected machine has a tap and an address, also when it is connected twice', async (world) => {
    await world.network.connect(cardOf(1))
    await world.network.connect(cardOf(2))
    await world.network.connect(cardOf(1))
    assert.deepEqual([...(await world.network.listTaps())].sort(), ['dt1', 'dt2'])
    assert.deepEqual(await world.answeredMacs(), [cardOf(1).macAddress, cardOf(2).macAddress])
  })

  scenario('a disconnected machine has neither, and disconnecting it again is fine', async (world) => {
    await world.network.connect(cardOf(1))
    await world.network.connect(cardOf(2))
    await world.network.disconnect(cardOf(1))
    await world.network.disconnect(cardOf(1))
    assert.deepEqual(await world.network.listTaps(), ['dt2'])
    assert.deepEqual(await world.answeredMacs(), [cardOf(2).macAddress])
  })

  scenario('adoption makes the DHCP entries exactly the given ones and leaves the taps', async (world) => {
    await world.network.connect(cardOf(1))
    await world.network.connect(cardOf(2))
    await world.network.adopt([cardOf(2), cardOf(3)])
    assert.deepEqual(await world.answeredMacs(), [cardOf(2).macAddress, cardOf(3).macAddress])
    assert.deepEqual([...(await world.network.listTaps())].sort(), ['dt1', 'dt2'])
  })

  scenario('a machine whose address changed is answered once', async (world) => {
    await world.network.connect(cardOf(1))
    await world.network.connect({ ...cardOf(1), address: '10.90.0.77' })
    assert.deepEqual(await world.answeredMacs(), [cardOf(1).macAddress])
  })

  scenario('an address that another machine has here is refused, and nothing is made', async (world) => {
    await world.network.connect(cardOf(1))
    const rival = { ...cardOf(2), address: cardOf(1).address }
    await assert.rejects(world.network.connect(rival), failsWith('address-taken'))
    assert.deepEqual(await world.answeredMacs(), [cardOf(1).macAddress])
    assert.deepEqual(await world.network.listTaps(), ['dt1'])
  })

  scenario(
    'each network that is here has its settings, and machines of each are asked from another address',
    async ({ network }) => {
      await network.configure([networkOf(1), { ...networkOf(2), uplink: 'nat', subnet: '10.90.0.0/20' }])
      const [one, two] = await Promise.all([1, 2].map((number) => network.settingsOf(networkOf(number).networkId)))
      assert.deepEqual([one?.prefixLength, one?.gateway], [24, ''])
      assert.deepEqual([two?.prefixLength, two?.gateway], [20, '10.90.0.1'])
      assert.notEqual(one?.askFrom, two?.askFrom)
      assert.equal((await network.settingsOf(flatNetworkId)).askFrom, null)
      await network.configure([])
      await assert.rejects(network.settingsOf(networkOf(1).networkId), failsWith('network-failed'))
    },
  )

  scenario(
    'networks of their own may have the same addresses, and go when they are not configured',
    async ({ network }) => {
      await network.configure([networkOf(1), networkOf(2)])
      const address = '10.90.0.11'
      await network.connect(cardOf(1))
      await network.connect({ ...cardOf(2), address, networkId: networkOf(1).networkId })
      await network.connect({ ...cardOf(3), address, networkId: networkOf(2).networkId })
      await network.configure([networkOf(1), networkOf(2)])
      const rival = { ...cardOf(4), address, networkId: networkOf(2).networkId }
      await assert.rejects(network.connect(rival), failsWith('address-taken'))
      assert.deepEqual([...(await network.listTaps())].sort(), ['dt1', 'dt2', 'dt3'])
      await network.disconnect({ ...cardOf(3), networkId: networkOf(2).networkId })
      await network.configure([networkOf(1)])
      await assert.rejects(network.connect(rival), failsWith('network-failed'))
      assert.deepEqual([...(await network.listTaps())].sort(), ['dt1', 'dt2'])
    },
  )
}

/** A network of its own with this number, whose addresses are the same as the others'. */
export function networkOf(number: number): HostNetwork {
  return {
    networkId: networkIdSchema.parse(`net-aaaaaaa${number + 1}`),
    name: `dev-${number}`,
    number,
    segment: { kind: 'vxlan', vni: 1000 + number },
    mtu: 1400,
    localAddress: '10.90.1.1',
    peers: [],
    forwarding: [],
    subnet: '10.90.0.0/24',
    gateway: '10.90.0.1',
    prefix6: null,
    domain: `dev-${number}.internal`,
    uplink: 'none',
    names: [],
  }
}

/** The card of an imagined machine with this number, 1 to 9. */
export function cardOf(number: number): NetworkCard {
  return {
    vmId: vmIdSchema.parse(`vm-aaaaaaa${'abcdefghi'[number - 1]}`),
    hostName: `web-${number}`,
    macAddress: `52:54:00:00:00:0${number}`,
    address: `10.90.0.1${number}`,
    address6: null,
    tapName: `dt${number}`,
    networkId: flatNetworkId,
  }
}

/** For `assert.rejects` and `assert.throws`: an error of the catalogue with this code. */
export function failsWith(code: ErrorCode, words = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DialtoneError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, words)
    return true
  }
}
