/**
 * Whether a machine stands still because its host, and few others, have lost a storage that the rest of the cluster reads. Then it is no use to
 * wait where it is. Pure.
 */
import type { ClusterState, VmRecord } from '../model/cluster-state.ts'
import { isAnswering } from '../model/cluster-state.ts'
import type { HostId } from '../model/ids.ts'
import { leaseProofAfterMs } from '../model/protection/bounds.ts'
import type { Observations } from './judge-hosts.ts'

export type LostStorage = {
  readonly name: string
  /** The hosts that don't read it at present, its own among them. */
  readonly unreadBy: readonly HostId[]
}

/** As patient as with a host that is silent. When more hosts than the set share have lost it, it is the storage itself that is lost. */
export function findLostStorage(
  cluster: ClusterState,
  { spec, placement }: VmRecord,
  observations: Observations,
): LostStorage | undefined {
  if (placement === undefined) return undefined
  const { timings } = cluster.cluster
  const patienceMs = leaseProofAfterMs(timings)
  for (const storageId of new Set(spec.disks.map((disk) => disk.storageId))) {
    const unreadMs = (hostId: HostId) => observations.get(hostId)?.unreadMs.get(storageId) ?? 0
    if (unreadMs(placement.hostId) < patienceMs) continue
    const having = [...cluster.hosts.values()].filter(
      (host) => isAnswering(host) && host.status.storageIds.includes(storageId),
    )
    const unreadBy = having.map((host) => host.spec.id).filter((hostId) => unreadMs(hostId) >= timings.leaseMs)
    if (unreadBy.length <= having.length * timings.maximumSilentShare)
      return { name: cluster.storages.get(storageId)?.name ?? storageId, unreadBy }
  }
  return undefined
}
