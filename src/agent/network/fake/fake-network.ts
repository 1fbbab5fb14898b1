/** A host's network in memory, for the simulator and for tests. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { flatNetworkId } from '../../../model/ids.ts'
import type { Network, NetworkCard } from '../network.ts'

type DhcpCard = Pick<NetworkCard, 'vmId' | 'hostName' | 'macAddress' | 'address' | 'networkId'>

export type FakeNetwork = Network & {
  /** While true, every call fails with `network-failed`. */
  setBroken(isBroken: boolean): void
  /** Machines that DHCP would answer now. */
  dhcpCards(): readonly DhcpCard[]
  /** Taps that are connected to the machines' network. */
  pluggedTaps(): readonly string[]
}

export function createFakeNetwork(): FakeNetwork {
  const taps = new Set<string>()
  const unplugged = new Set<string>()
  let cards: readonly DhcpCard[] = []
  let known = new Set([flatNetworkId])
  let broken = false
  const refuseIfBroken = () => {
    if (broken) throw new DialtoneError('network-failed', 'The network of this host is broken')
  }
  const connect = async ({ tapName, ...card }: NetworkCard) => {
    refuseIfBroken()
    if (!known.has(card.networkId))
      throw new DialtoneError('network-failed', `This host has not been told of the network ${card.networkId}`)
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
    setBroken(isBroken) {
      broken = isBroken
    },
    dhcpCards: () => cards,
    pluggedTaps: () => [...taps].filter((tapName) => !unplugged.has(tapName)),
    connect,
    async configure(networks) {
      known = new Set([flatNetworkId, ...networks.map(({ networkId }) => networkId)])
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
