/** What a rule set is compiled from. */
import type { HostFirewall } from '../../../model/firewall.ts'
import type { FilteredNetwork, GuardedTap } from '../firewall.ts'

export type FilterDescription = {
  /** How connections are followed; `stateless` has no security groups. */
  readonly kind: 'bridge-conntrack' | 'bridge-netfilter' | 'stateless'
  readonly bridge: string
  /** This host's own address on the bridge: it reaches its machines always. */
  readonly hostAddress: string
  /** Those of their own, in which connections are followed apart: they may have the same addresses. */
  readonly networks: readonly FilteredNetwork[]
  readonly taps: readonly GuardedTap[]
  readonly policy: HostFirewall
}

export type Chain = { readonly name: string; readonly lines: readonly string[] }

/** Set on packets of connections that exist already, where the bridge can't follow connections itself. */
export const establishedMark = 0x01000000

/** A chain as nft reads it. */
export function renderChain({ name, lines }: Chain): string {
  return `  chain ${name} {\n${lines.map((line) => `    ${line}\n`).join('')}  }\n`
}

/** The bridge of a network of its own. */
export function bridgeOf({ number }: FilteredNetwork): string {
  return `dtn${number}`
}
