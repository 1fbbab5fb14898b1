/** The snapshots of a machine as a tree of lines, with "you are here". */
import { treeRows } from '../control/snapshots/snapshot-tree.ts'
import type { SnapshotView } from '../model/api/snapshot-routes.ts'

export type TreeLine = { readonly drawn: string; readonly snapshot: SnapshotView | undefined }

/** `├─ before` and so on; the present is a line of its own, below what it descends from. */
export function drawTree(snapshots: readonly SnapshotView[]): readonly TreeLine[] {
  const byId = new Map(snapshots.map((snapshot) => [snapshot.id, snapshot]))
  const here = snapshots.find(({ isHere }) => isHere)
  return treeRows(snapshots, here?.id ?? null).map(({ snapshot, branches }) => ({
    drawn: `${indent(branches)}${snapshot?.name ?? 'you are here'}`,
    snapshot: snapshot === undefined ? undefined : byId.get(snapshot.id),
  }))
}

function indent(branches: readonly boolean[]): string {
  const above = branches.slice(0, -1).map((goesOn) => (goesOn ? '│  ' : '   '))
  return `${above.join('')}${branches.at(-1) === true ? '├─ ' : '└─ '}`
}
