/** The lowest epoch that no life of the machine was ever promised. */
import type { VmRecord } from '../model/cluster-state.ts'

export function nextEpoch({ spec, placement, migration }: Pick<VmRecord, 'spec' | 'placement' | 'migration'>): number {
  const forgotten = spec.rebuilt?.upToEpoch ?? 0
  return Math.max(placement?.epoch ?? 0, placement?.spentEpoch ?? 0, migration?.epoch ?? 0, forgotten) + 1
}
