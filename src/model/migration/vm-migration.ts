/**
 * A machine that moves while it runs. As long as the record is open, two hosts may hold the machine: nothing that needs it to be dead is
 * decided before both are known to have let go.
 */
import { z } from 'zod'
import type { VmRecord } from '../cluster-state.ts'
import { type HostId, hostIdSchema, sessionIdSchema, taskIdSchema } from '../ids.ts'

/** `precopy`: while it runs, and what changed meanwhile again. `stop-and-copy`: it stands still from the first byte to the last. */
export const migrationMethodSchema = z.enum(['precopy', 'stop-and-copy'])
export type MigrationMethod = z.infer<typeof migrationMethodSchema>

export const vmMigrationSchema = z.object({
  /** The task that moves it, and that ends the record. */
  taskId: taskIdSchema,
  sourceHostId: hostIdSchema,
  sourceEpoch: z.number().int(),
  destinationHostId: hostIdSchema,
  /** Of the life at the destination. */
  epoch: z.number().int(),
  /** The session of the destination's agent that it was begun with: another one has nothing of it. */
  session: sessionIdSchema,
  /** `moving`: the source owns it. `switched`: the destination does, and the source never runs it again. */
  phase: z.enum(['moving', 'switched']),
  startedAt: z.iso.datetime(),
  reason: z.string(),
})
export type VmMigration = z.infer<typeof vmMigrationSchema>

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
