/**
 * What machines of this host may send and be sent, as a port. Siblings: `nft/` (nftables, with either way of following connections) and
 * `fake/`. Always: a machine speaks under its own addresses only, and never as a router or a DHCP server. By choice: security groups.
 * Everything is keyed by the tap, so that a machine may have several.
 */
import type { FirewallKind, HostFirewall } from '../../model/firewall.ts'
import type { VmId } from '../../model/ids.ts'

/** A tap, and who speaks through it. */
export type GuardedTap = {
  readonly tapName: string
  readonly vmId: VmId
  readonly macAddress: string
  readonly address: string
  /** What it makes of its network's IPv6 prefix and its MAC; null where there is none. */
  readonly address6: string | null
}

/** A network of its own on this host. */
export type FilteredNetwork = {
  /** Names of its devices follow from it. */
  readonly number: number
  /** From this address its router asks machines for this host, whatever their groups are. */
  readonly router: string
}

export type FirewallAbility = {
  readonly kind: FirewallKind
  /** A sentence: how it filters, or why it can't. */
  readonly detail: string
}

export type Firewall = {
  ability(): FirewallAbility
  /** From then on the tap passes only what its machine may send and be sent. Doing it again is fine. Before the tap is up. */
  guard(tap: GuardedTap): Promise<void>
  /** True when exactly this is in force already: then `guard` would have nothing to do. */
  isGuarded(tap: GuardedTap): boolean
  /** The tap is gone. An unknown one is fine. */
  forget(tapName: string): Promise<void>
  /** Guards exactly these, after a restart of the agent: what an earlier one left goes, and no machine is unguarded meanwhile. */
  adopt(taps: readonly GuardedTap[]): Promise<void>
  /** The networks of their own that are on this host, from now on. Their devices are there already. */
  setNetworks(networks: readonly FilteredNetwork[]): Promise<void>
  /** The security groups of this host's machines from now on, also for those that run. */
  setPolicy(policy: HostFirewall): Promise<void>
}
