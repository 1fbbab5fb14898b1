/** Snapshots as what they descend from, and what a return and a change mean in words. */
import type { SnapshotView } from '../../model/api/snapshot-routes.ts'

export type SnapshotNode = { readonly snapshot: SnapshotView; readonly children: readonly SnapshotNode[] }

/** Oldest first on each level. One whose parent is gone begins a tree of its own. */
export function snapshotForest(snapshots: readonly SnapshotView[]): readonly SnapshotNode[] {
  const ids = new Set<string>(snapshots.map(({ id }) => id))
  const below = (parent: string | null): readonly SnapshotNode[] =>
    snapshots
      .filter(({ parentId }) => (parentId !== null && ids.has(parentId) ? parentId : null) === parent)
      .map((snapshot) => ({ snapshot, children: below(snapshot.id) }))
  return below(null)
}

/** Why a snapshot cannot be deleted now: a sentence; null when it can. */
export function obstacleToDeletion({ name, isProtected }: Pick<SnapshotView, 'name' | 'isProtected'>): string | null {
  return isProtected ? `${name} is protected: take the protection back first.` : null
}

/** A name for the present that no snapshot has: `before-base`, `before-base-2` … */
export function nameForPresent(target: string, taken: readonly string[]): string {
  const stem = `before-${target}`.slice(0, 50)
  if (!taken.includes(stem)) return stem
  let number = 2
  while (taken.includes(`${stem}-${number}`)) number += 1
  return `${stem}-${number}`
}
