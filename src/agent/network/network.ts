/**
 * The machines' network on this host, as a port. Siblings: `bridge/` (a Linux bridge with tap devices, DHCP by dnsmasq) and `fake/`.
 * MAC and address belong to the machine and travel with it; DHCP answers on the machine's own host only.
 */
import type { HostNetwork } from '../../model/agent-protocol/host-network.ts'
import type { NetworkId, VmId } from '../../model/ids.ts'

export type NetworkCard = {
  readonly vmId: VmId
  readonly hostName: string
  readonly macAddress: string
  readonly address: string
  /** What the machine makes of its network's prefix; null where there is none. */
  readonly address6: string | null
  readonly tapName: string
  /** Who may open the tap, besides root: the user of a machine that gets it while it runs. */
  readonly userId?: number
  /** The flat network, or one that was configured: others are waited for, since the leader plans them before it gives an order. */
  readonly networkId: NetworkId
}

/** What a machine is answered that asks its network who it is. `address`: where the question comes from, which no machine can forge. */
export type Metadata = (question: {
  readonly networkId: NetworkId
  readonly address: string
  readonly method: string
  readonly path: string
}) => { readonly status: number; readonly body: string }
/** What a machine, and whoever asks it, has to know of a network. */
export type NetworkSettings = {
  readonly prefixLength: number
  /** The router that machines send through; empty where they reach nothing outside. */
  readonly gateway: string
  /** This host's own address from which the network's machines are asked; null: any. */
  readonly askFrom: string | null
}

export type Network = {
  /** Of the flat network, or of one that is here; throws `network-failed` otherwise. Quick: it is asked before each probe. */
  settingsOf(networkId: NetworkId): Promise<NetworkSettings>
  /**
   * Makes the networks besides the flat one exactly these; what is there already stays. One that still has machines goes when they are gone.
   * Never rejects: a network that can't be made is refused to its machines, with the reason, and tried again.
   */
  configure(networks: readonly HostNetwork[]): Promise<void>
  /** Makes the machine's tap (attached to the bridge, up) and its DHCP entry. Doing it again is fine. */
  connect(card: NetworkCard): Promise<void>
  /** Makes a tap for a process that waits: in the network, but down, so that nothing queues up in it. Doing it again is fine. */
  prepareTap(card: NetworkCard): Promise<void>
  /** Brings a prepared tap up, as `connect` leaves it. Quick: a recovery waits for it. */
  plug(card: NetworkCard): Promise<void>
  /** Removes a tap and leaves addresses as they are; a missing one is fine. */
  removeTap(tapName: string): Promise<void>
  /** Removes both; missing ones are fine. */
  disconnect(card: Pick<NetworkCard, 'vmId' | 'tapName' | 'networkId'>): Promise<void>
  /** What may pass these taps in each direction from now on; null: as much as they can. A missing tap is fine, and forgotten when it goes. */
  limit(tapNames: readonly string[], mbitPerSecond: number | null): Promise<void>
  /** Taps of ours that exist on this host. */
  listTaps(): Promise<readonly string[]>
  /** Makes the DHCP entries exactly these, after a restart of the agent, and sees that the DHCP server runs. */
  adopt(cards: readonly NetworkCard[]): Promise<void>
}
