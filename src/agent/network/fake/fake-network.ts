/** A host's network in memory, for the simulator and for tests. */
import type { HostNetwork } from '../../../model/agent-protocol/host-network.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { flatNetworkId, type NetworkId } from '../../../model/ids.ts'
import type { Network, NetworkCard, NetworkSettings } from '../network.ts'

type DhcpCard = Pick<NetworkCard, 'vmId' | 'hostName' | 'macAddress' | 'address' | 'networkId'>

export type FakeNetwork = Network & {
  /** While true, every call fails with `network-failed`. */
  setBroken(isBroken: boolean): void
  /** Machines that DHCP would answer now. */
  dhcpCards(): readonly DhcpCard[]
  /** Taps that are connected to the machines' network. */
  pluggedTaps(): readonly string[]
  /** Mbit/s of each limited tap. */
  limits(): ReadonlyMap<string, number>
}

const flat: NetworkSettings = { prefixLength: 16, gateway: '10.0.0.1', askFrom: null }

export function createFakeNetwork(): FakeNetwork {
  const taps = new Set<string>()
  const unplugged = new Set<string>()
  let cards: readonly DhcpCard[] = []
  let known = new Map<NetworkId, NetworkSettings>()
  let broken = false
  const refuseIfBroken = () => {
    if (broken) throw new DialtoneError('network-failed', 'The network of this host is broken')
  }
  const refuseIfUnknown = (networkId: NetworkId) => {
    if (networkId !== flatNetworkId && !known.has(networkId))
      throw new DialtoneError('network-failed', `This host has not been told of the network ${networkId}`)
  }
  const connect = async ({ tapName, ...card }: NetworkCard) => {
    refuseIfBroken()
    refuseIfUnknown(card.networkId)
    const isSame = ({ vmId, networkId }: DhcpCard) => vmId === card.vmId && networkId === card.networkId
    const others = cards.filter((other) => !isSame(other))
    const rival = others.find(
      ({ networkId, address, macAddress }) =>
        networkId === card.networkId && (address === card.address || macAddress === card.macAddress),
    )
    if (rival !== undefined)
      throw new DialtoneError('address-taken', `The address or MAC of ${card.hostName} belongs to ${rival.hostName}`)
    cards = [...others, card]
    taps.add(tapName)
    unplugged.delete(tapName)
  }
  const removeTap = (tapName: string) => {
    refuseIfBroken()
    taps.delete(tapName)
    unplugged.delete(tapName)
  }
  return {
    setBroken: (isBroken) => void (broken = isBroken),
    dhcpCards: () => cards,
    pluggedTaps: () => [...taps].filter((tapName) => !unplugged.has(tapName)),
    connect,
    ...fakeLimits(refuseIfBroken),
    async settingsOf(networkId) {
      refuseIfUnknown(networkId)
      return known.get(networkId) ?? flat
    },
    async configure(networks) {
      known = new Map(networks.map((network) => [network.networkId, settingsFor(network)]))
    },
    async prepareTap({ tapName }) {
      refuseIfBroken()
      taps.add(tapName)
      unplugged.add(tapName)
    },
    async plug(card) {
      if (!taps.has(card.tapName)) throw new DialtoneError('network-failed', `There is no tap ${card.tapName}`)
      await connect(card)
    },
    removeTap: async (tapName) => removeTap(tapName),
    async disconnect({ vmId, tapName, networkId }) {
      removeTap(tapName)
      cards = cards.filter((card) => card.vmId !== vmId || card.networkId !== networkId)
    },
    async listTaps() {
      refuseIfBroken()
      return [...taps]
    },
    async adopt(adopted) {
      refuseIfBroken()
      cards = adopted.map(({ tapName: _tapName, ...card }) => card)
    },
  }
}

function fakeLimits(refuseIfBroken: () => void): Pick<FakeNetwork, 'limits' | 'limit'> {
  const limits = new Map<string, number>()
  return {
    limits: () => limits,
    async limit(tapNames, mbitPerSecond) {
      refuseIfBroken()
      for (const tapName of tapNames)
        if (mbitPerSecond === null) limits.delete(tapName)
        else limits.set(tapName, mbitPerSecond)
    },
  }
}

function settingsFor({ number, subnet, gateway, uplink }: HostNetwork): NetworkSettings {
  const prefixLength = Number(subnet.split('/')[1])
  return { prefixLength, gateway: uplink === 'none' ? '' : gateway, askFrom: `169.254.128.${number}` }
}
