/** Where a machine may live: its placed host and, while it moves, both ends of the move. */
import type { VmRecord } from '../cluster-state.ts'
import type { HostId } from '../ids.ts'

/** Every host on which a life of the machine may be. */
export function ownersOf({ placement, migration }: VmRecord): readonly HostId[] {
  const owners = new Set<HostId>()
  if (placement !== undefined) owners.add(placement.hostId)
  if (migration !== undefined) owners.add(migration.sourceHostId).add(migration.destinationHostId)
  return [...owners]
}

/** The newest epoch under which a life of it may be on that host. */
export function epochOn({ placement, migration }: VmRecord, hostId: HostId): number | undefined {
  const epochs = [
    placement?.hostId === hostId ? placement.epoch : 0,
    migration?.sourceHostId === hostId ? migration.sourceEpoch : 0,
    migration?.destinationHostId === hostId ? migration.epoch : 0,
  ]
  const newest = Math.max(...epochs)
  return newest === 0 ? undefined : newest
}
