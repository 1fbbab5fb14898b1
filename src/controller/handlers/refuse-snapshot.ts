/** What a caller is told when a snapshot can't be, and which kind is taken where none was asked for. */
import { refuseSnapshot, type SnapshotRefusal } from '../../control/snapshots/admit-snapshot.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { SnapshotKind } from '../../model/snapshots/snapshot.ts'
import type { ApiContext } from './api-context.ts'

/** With memory where that can be. */
export function usualKind(context: ApiContext, vm: VmRecord): SnapshotKind {
  const wish = { name: '', kind: 'memory' } as const
  return refuseSnapshot(context.engine.leader.index.state(), vm, wish) === undefined ? 'memory' : 'disk'
}

export function refuse(refusal: SnapshotRefusal | undefined): void {
  if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
}
