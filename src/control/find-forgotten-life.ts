/**
 * A store that went back may know a machine from before its own disks went to another host. The host that has them tells so with the life that
 * it holds: that life is the machine, wherever the store has it, and a copy that never ran is nothing. Where no life is left, the claim beside a
 * disk tells the same: it is written before a machine may write. Pure.
 */
import type { ClusterState, VmRecord } from '../model/cluster-state.ts'
import type { HostId } from '../model/ids.ts'
import type { MachineReport } from '../model/vm.ts'
import { nextEpoch } from './next-epoch.ts'
import type { DiskPlace, StrayDisks, StrayLife, VmDecision, VmQuestion } from './vm-decision.ts'

/** Its own disks, if any is not where the store says. */
export function disksElsewhere(vm: VmRecord, report: MachineReport): StrayDisks | undefined {
  const disks = (report.localDisks ?? []).filter((disk) => isElsewhere(vm, disk))
  if (disks.length === 0) return undefined
  return { disks, leased: report.leased, areItsOwn: report.isArriving !== true }
}

/** What to do about the newest life that the store forgot, or the disks that one had; undefined when it forgot none. */
export function decideOnForgotten(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmDecision | undefined {
  const forgotten = question.strays.filter((stray) => isForgotten(vm, stray, question))
  const newest = forgotten.toSorted((left, right) => right.epoch - left.epoch)[0]
  if (newest?.elsewhere === undefined) return decideOnClaims(cluster, vm, question)
  const { hostId, epoch, elsewhere } = newest
  const { leased, disks } = elsewhere
  return waitForMove(cluster, vm, hostId) ?? { kind: 'adopt', hostId, epoch, leased, disks, reason: reasonOf(epoch) }
}

/** Nothing of it lives anywhere. Only when every host has told: the newest of its claims may be on the last one that does. */
function decideOnClaims(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmDecision | undefined {
  const { claims, strays, report, startsOnHold, epochFloor } = question
  const newest = claims.toSorted((left, right) => right.epoch - left.epoch)[0]
  if (newest === undefined || newest.epoch <= (vm.placement?.epoch ?? 0)) return undefined
  const { hostId, epoch } = newest
  const disks = newest.disks.filter((disk) => isElsewhere(vm, disk))
  const isHeld = strays.length > 0 || (report !== undefined && report.phase !== 'stopped' && report.phase !== 'failed')
  if (disks.length === 0 || isHeld) return undefined
  if (startsOnHold !== undefined) return { kind: 'wait', reason: startsOnHold }
  const next = Math.max(nextEpoch(vm), epochFloor)
  const adopted = { kind: 'adopt', hostId, epoch: next, leased: false, disks, reason: reasonOf(epoch) } as const
  return waitForMove(cluster, vm, hostId) ?? adopted
}

function waitForMove(cluster: ClusterState, vm: VmRecord, hostId: HostId): VmDecision | undefined {
  if (vm.migration === undefined && !hasMovingVolume(cluster, vm)) return undefined
  const name = cluster.hosts.get(hostId)?.spec.name ?? hostId
  return { kind: 'wait', reason: `its disks are on ${name}: waits until what is open about them has ended` }
}

function reasonOf(epoch: number): string {
  return `its disks have moved there under epoch ${epoch}, before the state went back`
}

function isElsewhere({ spec }: VmRecord, { volumeId, storageId }: DiskPlace): boolean {
  return spec.disks.some((disk) => disk.volumeId === volumeId && disk.storageId !== storageId)
}

/** Epochs are stored before anything begins under them: one that is higher than the store's is of a time that it has forgotten. */
function isForgotten({ placement }: VmRecord, { epoch, elsewhere }: StrayLife, { epochFloor }: VmQuestion): boolean {
  return elsewhere?.areItsOwn === true && epoch > (placement?.epoch ?? 0) && epoch < epochFloor
}

function hasMovingVolume({ volumes }: ClusterState, { spec }: VmRecord): boolean {
  return spec.disks.some(({ volumeId }) => (volumes.get(volumeId)?.move ?? null) !== null)
}
