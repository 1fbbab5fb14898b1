/** The lowest epoch that no life of the machine was ever promised. */
import type { VmRecord } from '../model/cluster-state.ts'

export function nextEpoch({ placement, migration }: Pick<VmRecord, 'placement' | 'migration'>): number {
  return Math.max(placement?.epoch ?? 0, placement?.spentEpoch ?? 0, migration?.epoch ?? 0) + 1
}
