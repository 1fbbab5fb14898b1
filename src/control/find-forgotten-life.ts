/**
 * A store that went back may know a machine from before its own disks went to another host. The host that has them tells so with the life that
 * it holds: that life is the machine, wherever the store has it, and a copy that never ran is nothing. Pure.
 */
import type { ClusterState, VmRecord } from '../model/cluster-state.ts'
import type { MachineReport } from '../model/vm.ts'
import type { StrayDisks, StrayLife, VmDecision, VmQuestion } from './vm-decision.ts'

/** Its own disks, if any is not where the store says. */
export function disksElsewhere({ spec }: VmRecord, report: MachineReport): StrayDisks | undefined {
  const disks = (report.localDisks ?? []).filter(({ volumeId, storageId }) =>
    spec.disks.some((disk) => disk.volumeId === volumeId && disk.storageId !== storageId),
  )
  if (disks.length === 0) return undefined
  return { disks, leased: report.leased, areItsOwn: report.isArriving !== true }
}

/** What to do about the newest life that the store forgot; undefined when it forgot none. */
export function decideOnForgotten(cluster: ClusterState, vm: VmRecord, question: VmQuestion): VmDecision | undefined {
  const forgotten = question.strays.filter((stray) => isForgotten(vm, stray, question))
  const newest = forgotten.toSorted((left, right) => right.epoch - left.epoch)[0]
  if (newest?.elsewhere === undefined) return undefined
  const { hostId, epoch, elsewhere } = newest
  const name = cluster.hosts.get(hostId)?.spec.name ?? hostId
  if (vm.migration !== undefined || hasMovingVolume(cluster, vm))
    return { kind: 'wait', reason: `its disks are on ${name}: waits until what is open about them has ended` }
  const reason = `its disks have moved there under epoch ${epoch}, before the state went back`
  return { kind: 'adopt', hostId, epoch, leased: elsewhere.leased, disks: elsewhere.disks, reason }
}

/** Epochs are stored before anything begins under them: one that is higher than the store's is of a time that it has forgotten. */
function isForgotten({ placement }: VmRecord, { epoch, elsewhere }: StrayLife, { epochFloor }: VmQuestion): boolean {
  return elsewhere?.areItsOwn === true && epoch > (placement?.epoch ?? 0) && epoch < epochFloor
}

function hasMovingVolume({ volumes }: ClusterState, { spec }: VmRecord): boolean {
  return spec.disks.some(({ volumeId }) => (volumes.get(volumeId)?.move ?? null) !== null)
}
