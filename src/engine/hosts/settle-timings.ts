/** Forgets the times that were before, once every host has told that it counts with the present ones. A loop. */
import type { AgentConfiguration } from '../../model/agent-protocol/heartbeat.ts'
import type { ClusterSpec } from '../../model/cluster.ts'
import type { HostId } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'
import { keys } from '../state/keys.ts'
import type { HostTable } from './host-table.ts'

export type SettleTimingsOptions = {
  readonly leader: Leader
  readonly table: HostTable
  configurationFor(hostId: HostId): AgentConfiguration
}

/** The revision of what a host is told changes with each change of the times, so a host that tells it counts with these and no others. */
export async function settleTimings({ leader, table, configurationFor }: SettleTimingsOptions): Promise<void> {
  const { cluster, hosts } = leader.index.state()
  if (cluster.formerTimings === null) return
  const modRevision = leader.index.modRevision(keys.cluster)
  const isHeld = [...hosts.keys()].every(
    (hostId) => table.heartbeat(hostId)?.configurationRevision === configurationFor(hostId).revision,
  )
  if (!isHeld) return
  const settled: ClusterSpec = { ...cluster, formerTimings: null }
  const result = await leader.store.commit({
    conditions: [{ key: keys.cluster, modRevision }],
    writes: [{ kind: 'put', key: keys.cluster, value: JSON.stringify(settled) }],
  })
  if (result.kind === 'committed') leader.logger.info('timings.settled', { leaseMs: cluster.timings.leaseMs })
}
