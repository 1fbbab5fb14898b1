/**
 * The disks that go with a machine that moves. Until its owner changes, a disk is what lies at the source and its copy belongs to the
 * record of the move; in that moment the copy becomes the disk, and what lies at the source is left over.
 */
import { admitMigration, type MigrationWish } from '../../control/admit-migration.ts'
import type { PlannedCopy } from '../../control/placement/plan-disk-copies.ts'
import type { CopiedDisk } from '../../model/agent-protocol/migration-orders.ts'
import { boundHostOf, type ClusterState, type VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { imageIdSchema } from '../../model/ids.ts'
import { type DiskCopy, withCopies } from '../../model/migration/disk-copy.ts'
import type { VmMigration } from '../../model/migration/vm-migration.ts'
import type { Condition, Write } from '../../store/store.ts'
import type { AgentPort } from '../agent-port.ts'
import { type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import type { StepContext } from '../tasks/saga.ts'
import { discard, untilClear } from '../volumes/discard-volume.ts'
import { headFor, type MovingVm, requireGoingOn } from './migration-facts.ts'
import type { MigrationJournal } from './migration-journal.ts'

/** A disk is mirrored at this rate at least, or the move is given up. */
const slowestMiBPerSecond = 4
const clearWithinMs = 10_000

/** Each copy lies on the template that its original lies on; but what was published of a machine stays on the storage where that was. */
export function copiesToMake({ volumes }: ClusterState, planned: readonly PlannedCopy[]): readonly DiskCopy[] {
  return planned.map(({ volumeId, fromStorageId, toStorageId }) => {
    const base = volumes.get(volumeId)?.baseVersion ?? null
    const baseVersion = imageIdSchema.safeParse(base).success ? null : base
    return { volumeId, fromStorageId, toStorageId, baseVersion }
  })
}

export function wishOf({ wishedHostId, wishedStorage }: MigrationJournal): MigrationWish {
  return { hostId: wishedHostId ?? undefined, storage: wishedStorage }
}

/** Before the record is opened: what an earlier move left where the copies would go is deleted. Decides nothing. */
export async function untilPlacesAreClear(
  leader: Leader,
  { journal, signal }: Pick<StepContext<MigrationJournal>, 'journal' | 'signal'>,
): Promise<void> {
  const vm = leader.index.state().vms.get(journal.vmId)
  const verdict = vm === undefined ? undefined : admitMigration(leader.index.state(), vm, wishOf(journal))
  const copies = verdict?.kind === 'admitted' ? verdict.copies : []
  for (const { volumeId, toStorageId: storageId } of copies)
    await untilClear(leader, { volumeId, storageId }, { signal, withinMs: clearWithinMs })
}

/** An order to delete may be under way there, which would not know the copy from what was left. */
export function refuseUnclear({ discards }: ClusterState, copies: readonly PlannedCopy[]): void {
  if (copies.some(({ volumeId, toStorageId }) => discards.has(keys.discard(toStorageId, volumeId))))
    throw new DialtoneError('conflict', 'what an earlier move left where its disks would go is just being deleted')
}

/** Makes the empty copies. Whatever lies there of an earlier time goes first: nothing of it may shine through. */
export async function makeCopies(
  leader: Leader,
  agents: AgentPort,
  { journal: { vmId }, signal }: StepContext<MigrationJournal>,
): Promise<void> {
  const { vm, migration } = requireGoingOn(leader, vmId)
  for (const { volumeId, toStorageId: storageId, baseVersion } of migration.disks) {
    signal.throwIfAborted()
    const disk = vm.spec.disks.find((one) => one.volumeId === volumeId)
    if (disk === undefined) throw new DialtoneError('conflict', `${vm.spec.name} has lost a disk meanwhile`)
    const { host, head } = headFor(leader, vmId, 'destination')
    const { authority } = head
    const { format, sizeMiB } = disk
    await agents.deleteVolume(host, { authority, volumeId, storageId })
    await agents.createVolume(host, { authority, volumeId, storageId, format, sizeMiB, baseVersion })
  }
}

/** What the two agents are told of them. */
export function copiedDisksOf(leader: Leader, { disks }: VmMigration): CopiedDisk[] {
  const { volumes } = leader.index.state()
  return disks.map(({ volumeId, baseVersion }) => ({
    volumeId,
    isOnSameBase: (volumes.get(volumeId)?.baseVersion ?? null) === baseVersion,
  }))
}

/** The machine as it will be at its destination. */
export function atDestination(vm: VmRecord, { disks }: VmMigration): VmRecord {
  return { ...vm, spec: { ...vm.spec, disks: withCopies(vm.spec.disks, disks) } }
}

/** How long its disks may take, beside its memory. */
export function longestCopyMs({ spec }: VmRecord, { disks }: VmMigration): number {
  const going = spec.disks.filter(({ volumeId }) => disks.some((copy) => copy.volumeId === volumeId))
  return (going.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0) * 1000) / slowestMiBPerSecond
}

/** For the transaction in which the owner changes: the copies become the disks. */
export function switchDisks(
  leader: Leader,
  { vm, migration }: MovingVm,
): { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] } {
  const { volumes, storages } = leader.index.state()
  if (migration.disks.length === 0) return { conditions: [], writes: [] }
  const disks = withCopies(vm.spec.disks, migration.disks)
  const spec = { ...vm.spec, disks, boundToHostId: boundHostOf(disks, storages) }
  const moved = migration.disks.flatMap(({ volumeId, fromStorageId, toStorageId, baseVersion }) => {
    const volume = volumes.get(volumeId)
    if (volume?.storageId !== fromStorageId)
      throw new DialtoneError('conflict', `a disk of ${vm.spec.name} was moved by somebody else meanwhile`)
    return [
      put(keys.volume(volumeId), { ...volume, storageId: toStorageId, baseVersion }),
      discard(leader, { volumeId, storageId: fromStorageId }, `${vm.spec.name} has moved on with it`),
    ]
  })
  return {
    conditions: migration.disks.map(({ volumeId }) => unchanged(leader, keys.volume(volumeId))),
    writes: [put(keys.vm(vm.spec.id), spec), ...moved],
  }
}

/** For the transaction that closes the record of a move that was undone, or forgets the machine. */
export function discardCopies(leader: Leader, migration: VmMigration | undefined, reason: string): readonly Write[] {
  const { volumes } = leader.index.state()
  return (migration?.disks ?? [])
    .filter(({ volumeId, toStorageId }) => volumes.get(volumeId)?.storageId !== toStorageId)
    .map(({ volumeId, toStorageId: storageId }) => discard(leader, { volumeId, storageId }, reason))
}
