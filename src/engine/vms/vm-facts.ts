/** What is known about one VM at the moment of a decision, gathered from the index, the heartbeats and this leader's memory. */

import { disksElsewhere } from '../../control/find-forgotten-life.ts'
import { findLostStorage } from '../../control/find-lost-storage.ts'
import type { ClaimedDisks, RebuiltFacts, StrayLife, VmQuestion } from '../../control/vm-decision.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { VmId } from '../../model/ids.ts'
import { proofReaches } from '../../model/proof-reaches.ts'
import { isUnsettled } from '../../model/rebuild/rebuilt-vm.ts'
import type { MachinePhase, MachineReport } from '../../model/vm.ts'
import type { HostTable } from '../hosts/host-table.ts'
import type { Leader } from '../leader.ts'
import type { StartMemory } from './start-memory.ts'

export type VmFacts = {
  readonly leader: Leader
  readonly table: HostTable
  readonly memory: StartMemory
  startsOnHold(): string | undefined
  epochFloor(): number
  claims(vmId: VmId): readonly ClaimedDisks[]
}

/** Phases in which a process may be there. */
const livePhases: readonly MachinePhase[] = ['starting', 'running', 'paused', 'frozen', 'stopping', 'restarting']

/** What the placed host's present session says of it. */
export function reportOf(
  { table, leader }: Pick<VmFacts, 'table' | 'leader'>,
  { spec, placement }: VmRecord,
): MachineReport | undefined {
  if (placement === undefined || !hostHasReported({ table, leader }, placement.hostId)) return undefined
  return table.report(placement.hostId, spec.id)
}

/** True once the host's present session, as it is stored, has been heard by this leader. */
export function hostHasReported(
  { table, leader }: Pick<VmFacts, 'table' | 'leader'>,
  hostId: NonNullable<VmRecord['placement']>['hostId'],
): boolean {
  const session = leader.index.state().hosts.get(hostId)?.status.session
  return session !== null && session !== undefined && table.heartbeat(hostId)?.session === session
}

export function questionOf(facts: VmFacts, vm: VmRecord): VmQuestion {
  const { memory, table, leader } = facts
  const { spec, placement } = vm
  const nowMs = leader.clock.bootTimeMs()
  const report = reportOf(facts, vm)
  const released = memory.proofOfRelease(spec.id, placement?.epoch)
  const sequence = placement === undefined ? 0 : (table.heartbeat(placement.hostId)?.sequence ?? 0)
  return {
    report,
    ...(isUnsettled(spec) ? { rebuilt: rebuiltFacts(facts, vm) } : {}),
    lostStorage:
      report?.phase === 'frozen' || released !== undefined
        ? findLostStorage(leader.index.state(), vm, table.observations(nowMs))
        : undefined,
    hostHasReported: placement !== undefined && hostHasReported(facts, placement.hostId),
    startOrder: memory.startOrder(spec.id, placement, sequence),
    strays: straysOf(facts, vm),
    claims: facts.claims(spec.id),
    released,
    startsOnHold: facts.startsOnHold(),
    failures: memory.failures(spec.id, nowMs),
    startOrderDue: memory.startOrderDue(nowMs),
    epochFloor: facts.epochFloor(),
  }
}

/** Every host that has told what it holds counts, admitted or not; one that is dead has nothing to tell. */
function rebuiltFacts(facts: Pick<VmFacts, 'leader' | 'table'>, vm: VmRecord): RebuiltFacts {
  const { hosts } = facts.leader.index.state()
  const heard = [...hosts.values()].filter(({ spec }) => hostHasReported(facts, spec.id))
  const lives = heard.flatMap(({ spec: { id: hostId, name: hostName } }) => {
    const report = facts.table.report(hostId, vm.spec.id)
    return report === undefined ? [] : [{ hostId, hostName, report }]
  })
  const unheard = (vm.spec.rebuilt?.awaits ?? []).filter((hostId) => {
    const proof = hosts.get(hostId)?.status.proof ?? null
    return !hostHasReported(facts, hostId) && (proof === null || !proofReaches(vm, proof))
  })
  return { lives, unheard: unheard.map((hostId) => hosts.get(hostId)?.spec.name ?? hostId) }
}

/** Lives that answering hosts report and that are not the placed one: on other hosts, or under another epoch. */
export function straysOf({ leader, table }: Pick<VmFacts, 'table' | 'leader'>, vm: VmRecord): readonly StrayLife[] {
  const { spec, placement, migration } = vm
  const strays: StrayLife[] = []
  for (const { spec: host, status } of leader.index.state().hosts.values()) {
    // A host that is held because of what stands still on it takes orders before it is admitted.
    const isHeld = status.state === 'offline' && spec.rebuilt !== undefined
    if (status.state !== 'online' && status.state !== 'maintenance' && !isHeld) continue
    const report = table.report(host.id, spec.id)
    if (report === undefined) continue
    const elsewhere = disksElsewhere(vm, report)
    if (!livePhases.includes(report.phase) && elsewhere === undefined) continue
    if (placement?.hostId === host.id && placement.epoch === report.epoch) continue
    // Both ends of a move are the business of its task.
    if (migration?.sourceHostId === host.id && migration.sourceEpoch === report.epoch) continue
    if (migration?.destinationHostId === host.id && migration.epoch === report.epoch) continue
    // An order of a new epoch is under way to the host that still reports the old one: the agent itself ends the old life first.
    if (placement?.hostId === host.id && report.epoch < placement.epoch) continue
    strays.push({ hostId: host.id, epoch: report.epoch, ...(elsewhere === undefined ? {} : { elsewhere }) })
  }
  return strays
}
