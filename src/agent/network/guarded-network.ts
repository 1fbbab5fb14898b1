/** A network of whose taps none is up before it is guarded. Whatever the driver below, this is the only way to it. */
import type { HostFirewall } from '../../model/firewall.ts'
import type { Firewall, GuardedTap } from '../firewall/firewall.ts'
import type { Network, NetworkCard } from './network.ts'

export type GuardedNetwork = Network & {
  /** The security groups of this host's machines from now on. */
  setPolicy(policy: HostFirewall): Promise<void>
}

export function guardNetwork(network: Network, firewall: Firewall): GuardedNetwork {
  return {
    settingsOf: (networkId) => network.settingsOf(networkId),
    async configure(networks) {
      await network.configure(networks)
      // What can't be brought into force now the firewall tries again by itself: until then machines with groups are more closed, not less.
      await firewall
        .setNetworks(networks.map(({ number, gateway }) => ({ number, router: gateway })))
        .catch(() => undefined)
    },
    async connect(card) {
      await firewall.guard(tapOf(card))
      await network.connect(card)
    },
    async prepareTap(card) {
      await firewall.guard(tapOf(card))
      await network.prepareTap(card)
    },
    async plug(card) {
      // A recovery waits for this: its tap was guarded when it was prepared, and then it costs nothing.
      if (!firewall.isGuarded(tapOf(card))) await firewall.guard(tapOf(card))
      await network.plug(card)
    },
    async removeTap(tapName) {
      await network.removeTap(tapName)
      await firewall.forget(tapName)
    },
    async disconnect(card) {
      await network.disconnect(card)
      await firewall.forget(card.tapName)
    },
    limit: (tapNames, mbitPerSecond) => network.limit(tapNames, mbitPerSecond),
    listTaps: () => network.listTaps(),
    async adopt(cards) {
      await firewall.adopt(cards.map(tapOf))
      await network.adopt(cards)
    },
    setPolicy: (policy) => firewall.setPolicy(policy),
  }
}

function tapOf({ tapName, vmId, macAddress, address, address6 }: NetworkCard): GuardedTap {
  return { tapName, vmId, macAddress, address, address6 }
}
