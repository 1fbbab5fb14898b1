/** The one moment of a move that counts: by compare-and-swap the destination becomes the owner, under its epoch. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmId } from '../../model/ids.ts'
import type { VmPlacement } from '../../model/vm.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { hostName, type MovingVm, requireGoingOn, requireMoving } from './migration-facts.ts'
import { switchDisks } from './mirror-disks.ts'

const attempts = 20

export type SwitchOptions = {
  readonly vmId: VmId
  readonly signal: AbortSignal
  startsOnHold(): string | undefined
  /** A store that went back has forgotten it: it is written down, whatever would speak against it now. */
  readonly hasHappened?: true
}

/** Doing it again, once it is done, changes nothing. Throws when it is not to be moved any more. */
export async function switchOwner(leader: Leader, options: SwitchOptions): Promise<void> {
  const { vmId, signal, startsOnHold, hasHappened = false } = options
  const movingVm = () => (hasHappened ? requireMoving(leader, vmId) : requireGoingOn(leader, vmId))
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    signal.throwIfAborted()
    if (leader.index.state().vms.get(vmId)?.migration?.phase === 'switched') return
    const { sourceHostId, destinationHostId } = movingVm().migration
    const read = [
      keys.vm(vmId),
      keys.vmPlacement(vmId),
      keys.vmMigration(vmId),
      keys.hostStatus(sourceHostId),
      keys.hostStatus(destinationHostId),
    ]
    // Taken in the same moment as what is decided from.
    const conditions = read.map((key) => unchanged(leader, key))
    const moving = movingVm()
    const disks = switchDisks(leader, moving)
    const hold = startsOnHold()
    if (hold !== undefined) throw new DialtoneError('wrong-state', hold)
    const result = await commitAndSee(leader, {
      conditions: [...conditions, ...disks.conditions],
      writes: [
        ...disks.writes,
        put(keys.vmPlacement(vmId), placementOf(leader, moving)),
        put(keys.vmMigration(vmId), { ...moving.migration, phase: 'switched' }),
      ],
    })
    if (result.kind === 'committed') return
    await leader.clock.sleep(2, signal)
  }
  throw new DialtoneError('conflict', 'the machine was changed again and again while its owner was to change')
}

function placementOf(leader: Leader, { vm, migration }: MovingVm): VmPlacement {
  const { placement } = vm
  const bootId = leader.index.state().hosts.get(migration.destinationHostId)?.status.bootId
  if (placement?.hostId !== migration.sourceHostId || placement.epoch !== migration.sourceEpoch)
    throw new DialtoneError('conflict', `${vm.spec.name} was placed anew meanwhile`)
  return {
    ...placement,
    hostId: migration.destinationHostId,
    epoch: migration.epoch,
    session: migration.session,
    bootId: bootId ?? '',
    start: 'boot',
    term: leader.term,
    placedAt: leader.clock.wallTime().toISOString(),
    reason: `${migration.reason}, from ${hostName(leader, migration.sourceHostId)}, while it ran`,
    proof: null,
  }
}
