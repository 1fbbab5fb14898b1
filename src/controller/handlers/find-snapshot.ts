/** A snapshot as callers name it and see it. */
import { snapshotsOf } from '../../control/snapshots/snapshot-tree.ts'
import type { SnapshotList, SnapshotView } from '../../model/api/snapshot-routes.ts'
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'

/** By name or id, of this VM. */
export function findSnapshot(cluster: ClusterState, { spec }: VmRecord, reference: string): Snapshot {
  const found = snapshotsOf(cluster, spec.id).find(({ id, name }) => id === reference || name === reference)
  if (found !== undefined) return found
  throw new DialtoneError(
    'not-found',
    `${spec.name} has no snapshot ${reference}: dialtone vm snapshot list ${spec.name}`,
  )
}

export function snapshotView(cluster: ClusterState, { spec }: VmRecord, snapshot: Snapshot): SnapshotView {
  const parent = snapshot.parentId === null ? undefined : cluster.snapshots.get(snapshot.parentId)
  return {
    ...snapshot,
    vmName: spec.name,
    parentName: parent?.name ?? null,
    isHere: spec.basedOnSnapshotId === snapshot.id,
  }
}

export function snapshotList(cluster: ClusterState, vm: VmRecord): SnapshotList {
  return {
    vmName: vm.spec.name,
    snapshots: snapshotsOf(cluster, vm.spec.id).map((snapshot) => snapshotView(cluster, vm, snapshot)),
    schedule: vm.snapshotSchedule ?? null,
  }
}
