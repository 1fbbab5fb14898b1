/** Sees that the host which would take a machine over has its image and a process that waits. Takes no arguments; may run at any moment. */
import { decideStandby } from '../../control/decide-standby.ts'
import type { StandbyReport } from '../../model/agent-protocol/heartbeat.ts'
import { isAnswering, type VmRecord } from '../../model/cluster-state.ts'
import type { HostId, VmId } from '../../model/ids.ts'
import type { VmStandby } from '../../model/vm.ts'
import type { AgentPort } from '../agent-port.ts'
import type { HostTable } from '../hosts/host-table.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { orderTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'
import { machineOrderOf } from './machine-order-of.ts'

export type StandbyKeeper = {
  /** Looks at every machine. To be called about twice a second. */
  look(): Promise<void>
}

/** An order that showed no effect for this long is given again. */
const orderLastsMs = 3_000

type Parts = {
  readonly leader: Leader
  readonly table: HostTable
  readonly agents: AgentPort
  /** When which order was last given. */
  readonly given: Map<string, number>
}

export function createStandbyKeeper(parts: Omit<Parts, 'given'>): StandbyKeeper {
  const all: Parts = { ...parts, given: new Map() }
  return {
    async look() {
      const { vms, hosts } = all.leader.index.state()
      for (const vm of vms.values()) await decide(all, vm)
      for (const hostId of hosts.keys()) dismissOthers(all, hostId)
    },
  }
}

async function decide(parts: Parts, vm: VmRecord): Promise<void> {
  const { leader } = parts
  const state = leader.index.state()
  const decision = decideStandby(state, vm)
  const key = keys.vmStandby(vm.spec.id)
  const conditions = [unchanged(leader, key), unchanged(leader, keys.vm(vm.spec.id))]
  if (decision.kind === 'dismiss') {
    await commitAndSee(leader, { conditions, writes: [{ kind: 'delete', key }] })
  } else if (decision.kind === 'choose') {
    const session = state.hosts.get(decision.hostId)?.status.session
    if (session === null || session === undefined) return
    const chosenAt = leader.clock.wallTime().toISOString()
    const { hostId, imageId, reason } = decision
    const standby: VmStandby = { hostId, imageId, session, chosenAt, reason }
    await commitAndSee(leader, { conditions, writes: [put(key, standby)] })
    order(parts, { ...vm, standby })
  } else order(parts, vm)
}

/** Tells the chosen host, until it reports that it keeps this image. */
function order({ leader, table, agents, given }: Parts, vm: VmRecord): void {
  const { standby, spec } = vm
  const host = standby === undefined ? undefined : leader.index.state().hosts.get(standby.hostId)
  if (standby === undefined || host === undefined || !isAnswering(host) || host.status.session !== standby.session)
    return
  // What it keeps already it tells in its first heartbeat.
  if (table.heartbeat(standby.hostId)?.session !== standby.session) return
  const report = reportOf(table, standby.hostId, spec.id)
  if (report?.imageId === standby.imageId && report.state !== 'failed') return
  if (!isDue(given, { key: `keep ${spec.id} ${standby.hostId} ${standby.imageId}`, nowMs: leader.clock.bootTimeMs() }))
    return
  const authority = { term: leader.term, session: standby.session }
  agents
    .keepStandby(host.spec, { vmId: spec.id, authority, machine: machineOrderOf(vm), imageId: standby.imageId })
    .catch((error: unknown) => leader.logger.warn('standby.not-ordered', { vmId: spec.id, error }))
}

/** What a host keeps ready though it isn't the chosen one any more. */
function dismissOthers({ leader, table, agents, given }: Parts, hostId: HostId): void {
  const state = leader.index.state()
  const record = state.hosts.get(hostId)
  const target = orderTarget(leader, hostId)
  if (record === undefined || target === undefined || !isAnswering(record)) return
  const { host, authority } = target
  for (const { vmId } of table.heartbeat(hostId)?.standbys ?? []) {
    const { spec, standby, placement } = state.vms.get(vmId) ?? {}
    // What a take-over is about to begin with is not taken away from it.
    const isTakenOver = placement?.hostId === hostId && spec?.desired !== 'stopped'
    if (standby?.hostId === hostId || isTakenOver) continue
    if (!isDue(given, { key: `drop ${vmId} ${hostId}`, nowMs: leader.clock.bootTimeMs() })) continue
    agents
      .dropStandby(host, { vmId, authority })
      .catch((error: unknown) => leader.logger.warn('standby.not-dropped', { vmId, hostId, error }))
  }
}

function isDue(given: Map<string, number>, { key, nowMs }: { readonly key: string; readonly nowMs: number }): boolean {
  const before = given.get(key)
  if (before !== undefined && nowMs - before < orderLastsMs) return false
  given.set(key, nowMs)
  if (given.size > 10_000) given.clear()
  return true
}

function reportOf(table: HostTable, hostId: HostId, vmId: VmId): StandbyReport | undefined {
  return table.heartbeat(hostId)?.standbys.find((report) => report.vmId === vmId)
}
