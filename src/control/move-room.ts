/** How many machines may move from or to a host at the same time: each takes its share of the network and of the processors. Pure. */
import type { ClusterState } from '../model/cluster-state.ts'
import type { HostId } from '../model/ids.ts'

export const movesAtOncePerHost = 4

/** Why a move between these two hosts has to wait; undefined when both have room for it. */
export function whyMoveWaits(cluster: ClusterState, hostIds: readonly HostId[]): string | undefined {
  for (const hostId of hostIds) {
    const count = movesOf(cluster, hostId)
    if (count < movesAtOncePerHost) continue
    const name = cluster.hosts.get(hostId)?.spec.name ?? hostId
    return `waits: ${count} machines move from or to ${name} already`
  }
  return undefined
}

function movesOf({ vms }: ClusterState, hostId: HostId): number {
  return [...vms.values()].filter(
    ({ migration }) => migration?.sourceHostId === hostId || migration?.destinationHostId === hostId,
  ).length
}
