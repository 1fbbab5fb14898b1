/** Stores what is seen of a VM when it changed, with an event when its state did. */
import type { DerivedStatus } from '../../control/derive-status.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { VmSpec, VmStatus } from '../../model/vm.ts'
import { commitAndSee, type Leader, put, unchanged } from '../leader.ts'
import { keys } from '../state/keys.ts'

export async function writeVmStatus(leader: Leader, vm: VmRecord, derived: DerivedStatus): Promise<void> {
  const before = vm.status
  const isSameState =
    before?.state === derived.state && before.epoch === derived.epoch && before.incarnation === derived.incarnation
  const since = isSameState ? before.since : leader.clock.wallTime().toISOString()
  const status: VmStatus = { ...derived, since }
  // A clone that runs has its own names, keys and addresses: from now on it starts like any other machine. One whose guest
  // has yet to hear of them is told at its next start, if this one ends before.
  // One that goes on from a snapshot has done so.
  const isUntoldClone = vm.spec.isUntoldClone && status.isUntold === true
  const becomesItsOwn = derived.state === 'running' && isNew(vm.spec, isUntoldClone)
  if (before !== undefined && isSameAs(before, status) && !becomesItsOwn) return
  const key = keys.vmStatus(vm.spec.id)
  const event = isSameState || isSameRestart(before, status) ? [] : [eventOf(leader, vm, status)]
  const own = becomesItsOwn
    ? [put(keys.vm(vm.spec.id), { ...vm.spec, clonedFrom: null, isUntoldClone, resumesFrom: null })]
    : []
  await commitAndSee(leader, {
    conditions: [unchanged(leader, key), unchanged(leader, keys.vm(vm.spec.id))],
    writes: [put(key, status), ...own, ...event],
  })
}

/** Something of its beginning is over, and is still in its spec. */
function isNew({ clonedFrom, isUntoldClone, resumesFrom }: VmSpec, isStillUntold: boolean): boolean {
  return clonedFrom !== null || isUntoldClone !== isStillUntold || resumesFrom !== null
}

/** The life that it is being restarted for has its number by now: no news for people. */
function isSameRestart(before: VmStatus | undefined, { state, epoch, detail }: VmStatus): boolean {
  return state === 'restarting' && before?.state === state && before.epoch === epoch && before.detail === detail
}

function isSameAs(left: VmStatus, right: VmStatus): boolean {
  const fields = ['state', 'since', 'hostId', 'epoch', 'incarnation', 'pid', 'detail', 'crashes', 'isUntold'] as const
  return (
    fields.every((field) => left[field] === right[field]) &&
    JSON.stringify([left.recovery, left.hardware]) === JSON.stringify([right.recovery, right.hardware])
  )
}

function eventOf(leader: Leader, vm: VmRecord, status: VmStatus) {
  const host = status.hostId === null ? undefined : leader.index.state().hosts.get(status.hostId)
  const where = host === undefined ? '' : ` on ${host.spec.name}`
  return leader.events.write({
    kind: `vm.${status.state}`,
    subject: vm.spec.name,
    message: `${status.state}${where}${status.detail === '' ? '' : `: ${status.detail}`}`,
    vmId: vm.spec.id,
    hostId: status.hostId ?? undefined,
  })
}
