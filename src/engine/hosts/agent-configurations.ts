/** What each agent is told of the cluster, made anew only after something that is part of it has changed: every heartbeat asks for it. */
import type { AgentConfiguration } from '../../model/agent-protocol/heartbeat.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'
import { createNetworkPlanner, type NetworkPlanner } from '../networks/network-planner.ts'
import type { Touched } from '../state/cluster-index.ts'
import { digestOf } from '../state/digest-of.ts'
import { createFirewallViews, type FirewallViews } from './firewall-views.ts'
import type { HostTable } from './host-table.ts'

export type AgentConfigurations = {
  /** Throws `not-found` for a host that is none of this cluster. */
  configurationFor(hostId: HostId): AgentConfiguration
  /** True when the host has heard what this machine may send and be sent, or needs not. */
  knowsFirewall(hostId: HostId, vmId: VmId): boolean
}

export function createAgentConfigurations(leader: Leader, table: HostTable): AgentConfigurations {
  const firewalls = createFirewallViews(leader.index)
  const views = { firewalls, planner: createNetworkPlanner(leader.index) }
  const made = new Map<HostId, AgentConfiguration>()
  leader.index.onChange((touched) => {
    if (touched.some(isPartOfConfigurations)) made.clear()
  })
  const configurationFor = (hostId: HostId) => {
    const known = made.get(hostId) ?? configurationOf(leader, hostId, views)
    made.set(hostId, known)
    return known
  }
  const knowsFirewall = (hostId: HostId, vmId: VmId) =>
    !firewalls.concerns(hostId, vmId) ||
    table.heartbeat(hostId)?.configurationRevision === configurationFor(hostId).revision
  return { configurationFor, knowsFirewall }
}

/** Statuses and tasks change all the time, and are no part of them. */
function isPartOfConfigurations({ noun, key }: Touched): boolean {
  if (noun === 'vm' || noun === 'host') return !key.endsWith('/status')
  return noun === 'cluster' || noun === 'network' || noun === 'storage' || noun === 'security-group'
}

/** What an agent has to know of the cluster. Its revision is another one whenever something in it is. */
function configurationOf(
  leader: Leader,
  hostId: HostId,
  { firewalls, planner }: { readonly firewalls: FirewallViews; readonly planner: NetworkPlanner },
): AgentConfiguration {
  const state = leader.index.state()
  const host = state.hosts.get(hostId)
  if (host === undefined) throw new DialtoneError('not-found', `${hostId} is not a host of this cluster`)
  const storages = [...state.storages.values()].filter((storage) => storage.shared || storage.hostId === hostId)
  const parts = ['cluster', 'network', ...storages.map((storage) => `storage/${storage.id}`)]
  const { firewall, digest } = firewalls.of(hostId)
  const plan = planner.planFor(hostId)
  const revisions = parts.map((key) => leader.index.modRevision(key))
  return {
    revision: digestOf([...revisions, storages.length, digest, plan.since].join(' ')),
    clusterId: state.cluster.id,
    timings: state.cluster.timings,
    network: state.network ?? null,
    storages: storages.map((storage) => ({
      storageId: storage.id,
      name: storage.name,
      kind: storage.kind,
      path: storage.path,
      shared: storage.shared,
      slot: host.spec.number,
    })),
    firewall,
    networks: [...plan.networks],
  }
}
