/** A host's network in memory, for the simulator and for tests. */
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { Network, NetworkCard } from '../network.ts'

type DhcpCard = Pick<NetworkCard, 'vmId' | 'hostName' | 'macAddress' | 'address'>

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
  let broken = false
  const refuseIfBroken = () => {
    if (broken) throw new DialtoneError('network-failed', 'The network of this host is broken')
  }
  const connect = async ({ tapName, ...card }: NetworkCard) => {
    refuseIfBroken()
    const others = cards.filter(({ vmId }) => vmId !== card.vmId)
    const rival = others.find(({ address, macAddress }) => address === card.address || macAddress === card.macAddress)
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
    async disconnect({ vmId, tapName }) {
      removeTap(tapName)
      cards = cards.filter((card) => card.vmId !== vmId)
    },
    async listTaps() {
      refuseIfBroken()
      return [...taps]
    },
    async adopt(adopted) {
      refuseIfBroken()
      cards = adopted.map(({ vmId, hostName, macAddress, address }) => ({ vmId, hostName, macAddress, address }))
    },
  }
}
