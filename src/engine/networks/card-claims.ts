/** What network cards hold in the store: their addresses, each to one machine, and the networks that they are in. */
import { flatNetworkId, type VmId } from '../../model/ids.ts'
import type { VmNic } from '../../model/network.ts'
import type { Condition, Write } from '../../store/store.ts'
import { type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'

/** The key that makes the card's address its machine's alone. */
export function addressClaimOf({ networkId, address }: Pick<VmNic, 'networkId' | 'address'>): string {
  return networkId === flatNetworkId ? keys.addressClaim(address) : keys.virtualAddressClaim(networkId, address)
}

/** For the transaction that brings cards into their networks: these are still there, and nobody deletes them meanwhile. */
export function enterNetworks(
  leader: Pick<Leader, 'index'>,
  vmId: VmId,
  nics: readonly VmNic[],
): { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] } {
  const networkIds = nics.map(({ networkId }) => networkId).filter((networkId) => networkId !== flatNetworkId)
  return {
    conditions: networkIds.map((networkId) => unchanged(leader, keys.virtualNetwork(networkId))),
    writes: networkIds.map((networkId) => put(keys.networkUse(networkId), vmId)),
  }
}
