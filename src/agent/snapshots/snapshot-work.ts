/** A snapshot that is being taken, or that was and whose order has not been answered yet. */
import type { SnapshotId } from '../../model/ids.ts'
import type { Snapshot } from '../../model/snapshots/snapshot.ts'

export type SnapshotWork = {
  readonly id: SnapshotId
  /** How far it is: a sentence. */
  readonly detail: string
  readonly over: Promise<Snapshot>
  readonly outcome: 'taken' | 'failed' | undefined
}

/** A machine that stands still with others, until all of them have their snapshot. */
export type Hold = { readonly endsAtMs: number; readonly timer: AbortController }
