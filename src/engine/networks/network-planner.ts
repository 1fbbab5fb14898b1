/** Keeps the plan of networks current: made anew, when somebody asks, after something changed that it depends on. */
import { planNetworks } from '../../control/networks/plan-networks.ts'
import type { HostNetwork } from '../../model/agent-protocol/host-network.ts'
import type { HostId } from '../../model/ids.ts'
import type { ClusterIndex, Touched } from '../state/cluster-index.ts'

export type NetworkPlanner = {
  /** What this host has to have, and the revision since which it has been so: 0 for nothing since this term began. */
  planFor(hostId: HostId): Share
}

type Share = { readonly networks: readonly HostNetwork[]; readonly since: number }

export function createNetworkPlanner(index: ClusterIndex): NetworkPlanner {
  const shares = new Map<HostId, Share & { readonly text: string }>()
  let isCurrent = false
  index.onChange((touched) => {
    isCurrent &&= !touched.some(isPartOfIt)
  })
  const replan = () => {
    const plan = planNetworks(index.state())
    const since = index.revision()
    for (const hostId of new Set([...shares.keys(), ...plan.keys()])) {
      const networks = plan.get(hostId) ?? []
      const text = JSON.stringify(networks)
      if (shares.get(hostId)?.text !== text) shares.set(hostId, { networks, since, text })
    }
    isCurrent = true
  }
  return {
    planFor(hostId) {
      if (!isCurrent) replan()
      return shares.get(hostId) ?? { networks: [], since: 0 }
    },
  }
}

function isPartOfIt({ noun, key }: Touched): boolean {
  if (noun === 'network') return true
  if (noun === 'host') return key.endsWith('/spec')
  return noun === 'vm' && !key.endsWith('/status')
}
