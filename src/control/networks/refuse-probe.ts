/** Whether a machine's host can ask the machine's service over the network. Pure. */
import type { ClusterState } from '../../model/cluster-state.ts'
import { networksOf, type VmNic } from '../../model/network.ts'
import type { Probe } from '../../model/recovery/probe.ts'

/**
 * Why this probe would never be answered, as a sentence. Hosts reach machines in the flat network and in routed ones; in others the same
 * address may be that of several machines.
 */
export function describeProbeFault(
  cluster: Pick<ClusterState, 'network' | 'networks'>,
  { networkId }: Pick<VmNic, 'networkId'>,
  probe: Probe | null | undefined,
): string | undefined {
  if (probe === null || probe === undefined || probe.check.kind === 'exec') return undefined
  const network = networksOf(cluster).find(({ id }) => id === networkId)
  if (network === undefined || network.uplink === 'routed') return undefined
  return `probes don't reach ${network.name}, where its first card is: let a program in the guest look (exec), or begin with a card in a routed network`
}
