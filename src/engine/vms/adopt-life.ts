/** What hosts have of a machine that the store, which went back, does not know: written down before anything is decided by it. */
import type { DiskPlace, VmDecision } from '../../control/vm-decision.ts'
import { boundHostOf, type VmRecord } from '../../model/cluster-state.ts'
import { imageIdSchema } from '../../model/ids.ts'
import { withCopies } from '../../model/migration/disk-copy.ts'
import type { VmPlacement } from '../../model/vm.ts'
import type { Condition, Write } from '../../store/store.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'
import { discard } from '../volumes/discard-volume.ts'

export type AdoptDecision = Extract<VmDecision, { readonly kind: 'adopt' }>

/**
 * The life becomes the placed one, and its disks are where it has them; what may lie where the store had them is left over. False when
 * something that it was decided from has changed meanwhile.
 */
export async function commitAdoption(
  leader: Leader,
  vm: VmRecord,
  how: { readonly decision: AdoptDecision; readonly conditions: readonly Condition[] },
): Promise<boolean> {
  const { decision, conditions } = how
  const { spec } = vm
  const { hosts, storages } = leader.index.state()
  const host = hosts.get(decision.hostId)
  const placement = placementOf(leader, vm, decision)
  const moved = movedDisks(leader, decision.disks)
  if (host === undefined || placement === undefined || moved === undefined) return false
  const ofHost = unchanged(leader, keys.hostStatus(decision.hostId))
  const isCovered = conditions.some(({ key }) => key === ofHost.key)
  const disks = withCopies(
    spec.disks,
    decision.disks.map(({ volumeId, storageId: toStorageId }) => ({ volumeId, toStorageId })),
  )
  const event = leader.events.write({
    kind: 'vm.placed',
    subject: spec.name,
    message: `${host.spec.name}, epoch ${decision.epoch}: ${decision.reason}`,
    vmId: spec.id,
    hostId: decision.hostId,
  })
  const result = await commitAndSee(leader, {
    conditions: [...conditions, ...(isCovered ? [] : [ofHost]), ...moved.conditions],
    writes: [
      put(keys.vmPlacement(spec.id), placement),
      put(keys.vm(spec.id), {
        ...spec,
        disks,
        boundToHostId: boundHostOf(disks, storages),
        desired: decision.desired ?? spec.desired,
        ...settled(spec),
      }),
      ...moved.writes,
      event,
    ],
  })
  return result.kind === 'committed'
}

/** It was entered anew, and runs nowhere: nothing of what was written down of its place is true. False when that has changed meanwhile. */
export async function commitSettled(
  leader: Leader,
  { spec }: VmRecord,
  how: { readonly reason: string; readonly conditions: readonly Condition[] },
): Promise<boolean> {
  const event = leader.events.write({
    kind: 'vm.settled',
    subject: spec.name,
    message: `it was entered anew, and ${how.reason}: it may be started`,
    vmId: spec.id,
  })
  const result = await commitAndSee(leader, {
    conditions: how.conditions,
    writes: [
      put(keys.vm(spec.id), { ...spec, ...settled(spec) }),
      { kind: 'delete', key: keys.vmPlacement(spec.id) },
      event,
    ],
  })
  return result.kind === 'committed'
}

/** From now on it is a VM like any other; epochs go on above all that were given out before. */
function settled({ rebuilt }: VmRecord['spec']): Pick<VmRecord['spec'], 'rebuilt'> {
  return rebuilt === undefined ? {} : { rebuilt: { ...rebuilt, awaits: [] } }
}

/** What was copied for a machine that never ran there is left over: written down before the process that has it ends. */
export async function noteLeftCopies(leader: Leader, places: readonly DiskPlace[]): Promise<void> {
  const { discards } = leader.index.state()
  const left = places.filter(({ storageId, volumeId }) => !discards.has(keys.discard(storageId, volumeId)))
  if (left.length === 0) return
  const reason = 'it was copied there for a move that the state has forgotten'
  await commitAndSee(leader, { conditions: [], writes: left.map((place) => discard(leader, place, reason)) })
}

function placementOf(leader: Leader, { placement }: VmRecord, decision: AdoptDecision): VmPlacement | undefined {
  const { session, bootId } = leader.index.state().hosts.get(decision.hostId)?.status ?? {}
  if (session === null || session === undefined) return undefined
  return {
    hostId: decision.hostId,
    epoch: decision.epoch,
    session,
    bootId: bootId ?? '',
    start: 'boot',
    leased: decision.leased,
    term: leader.term,
    placedAt: leader.clock.wallTime().toISOString(),
    reason: decision.reason,
    proof: null,
    lastRecovery: placement?.lastRecovery ?? null,
  }
}

/** Undefined when one of them is not known at all. */
function movedDisks(
  leader: Leader,
  places: readonly DiskPlace[],
): { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] } | undefined {
  const moves = places.map(({ volumeId, storageId }) => {
    const volume = leader.index.state().volumes.get(volumeId)
    if (volume === undefined) return undefined
    // As with every copy: what was published of a machine stays where that was.
    const baseVersion = imageIdSchema.safeParse(volume.baseVersion).success ? null : volume.baseVersion
    const reason = 'its machine has moved on with it, before the state went back'
    return {
      condition: unchanged(leader, keys.volume(volumeId)),
      writes: [
        put(keys.volume(volumeId), { ...volume, storageId, baseVersion }),
        discard(leader, { volumeId, storageId: volume.storageId }, reason),
      ],
    }
  })
  const known = moves.filter((move) => move !== undefined)
  if (known.length < moves.length) return undefined
  return { conditions: known.map(({ condition }) => condition), writes: known.flatMap(({ writes }) => writes) }
}
