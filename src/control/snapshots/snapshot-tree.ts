/** The snapshots of a machine as a tree: each lies on the one that the machine's state descended from. Pure. */
import type { ClusterState } from '../../model/cluster-state.ts'
import type { SnapshotId, VmId } from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'

/** Oldest first. */
export function snapshotsOf({ snapshots }: Pick<ClusterState, 'snapshots'>, vmId: VmId): readonly Snapshot[] {
  return [...snapshots.values()]
    .filter((snapshot) => snapshot.vmId === vmId)
    .sort((left, right) => left.takenAt.localeCompare(right.takenAt) || left.id.localeCompare(right.id))
}

/** Why the disks of this machine stay where they are, as the end of a sentence; undefined when nothing keeps them. */
export function describeRootedness(cluster: Pick<ClusterState, 'snapshots'>, vmId: VmId): string | undefined {
  const [first] = snapshotsOf(cluster, vmId)
  return first === undefined
    ? undefined
    : `its snapshots, such as ${first.name}, lie on them and would be left behind: delete them first`
}

/** From this one up to the first of its line, itself included. */
export function ancestorsOf(own: readonly Snapshot[], from: SnapshotId | null): readonly Snapshot[] {
  const byId = new Map(own.map((snapshot) => [snapshot.id, snapshot]))
  const line: Snapshot[] = []
  for (let id = from; id !== null; ) {
    const snapshot = byId.get(id)
    if (snapshot === undefined || line.includes(snapshot)) break
    line.push(snapshot)
    id = snapshot.parentId
  }
  return line
}

export type TreeRow = {
  /** Undefined for the present: "you are here". */
  readonly snapshot: Snapshot | undefined
  /** For each level whether more follows on it, the last one its own. */
  readonly branches: readonly boolean[]
}

/** Row by row as it is drawn: children below their parent, older ones first, the present where it belongs. */
export function treeRows(own: readonly Snapshot[], basedOn: SnapshotId | null): readonly TreeRow[] {
  const known = new Set(own.map(({ id }) => id))
  const parentOf = ({ parentId }: Snapshot) => (parentId !== null && known.has(parentId) ? parentId : null)
  const here = basedOn !== null && known.has(basedOn) ? basedOn : null
  const rows: TreeRow[] = []
  const visit = (parent: SnapshotId | null, branches: readonly boolean[]) => {
    const children: readonly (Snapshot | undefined)[] = [
      ...own.filter((snapshot) => parentOf(snapshot) === parent),
      ...(here === parent ? [undefined] : []),
    ]
    for (const [index, child] of children.entries()) {
      const path = [...branches, index < children.length - 1]
      rows.push({ snapshot: child, branches: path })
      if (child !== undefined) visit(child.id, path)
    }
  }
  visit(null, [])
  return rows
}
