/** Carries the schedules of snapshots out: looks from time to time what is due, and what may go. */
import { refuseDelete, refuseSnapshot } from '../../control/snapshots/admit-snapshot.ts'
import { planSchedule } from '../../control/snapshots/plan-schedule.ts'
import { snapshotsOf } from '../../control/snapshots/snapshot-tree.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { VmId } from '../../model/ids.ts'
import type { Leader } from '../leader.ts'
import type { SnapshotTasks } from './snapshot-tasks.ts'
import { closeLeftOperations } from './vm-operations.ts'

export type ScheduleKeeper = { look(): Promise<void> }

const user = 'schedule'

export function createScheduleKeeper(leader: Leader, tasks: SnapshotTasks): ScheduleKeeper {
  const triedAtMs = new Map<VmId, number>()
  const lookAt = async (vm: VmRecord) => {
    const { spec, snapshotSchedule: schedule } = vm
    if (schedule === undefined || spec.lifecycle !== 'live' || isBusy(leader, spec.id)) return
    const cluster = leader.index.state()
    const nowMs = leader.clock.wallTime().getTime()
    const snapshots = snapshotsOf(cluster, spec.id)
    const plan = planSchedule({ schedule, snapshots, triedAtMs: triedAtMs.get(spec.id) ?? null, nowMs })
    const surplus = snapshots.find((one) => plan.letsGo.includes(one.id) && refuseDelete(vm, one) === undefined)
    if (surplus !== undefined) await tasks.remove(spec, surplus.id, user)
    if (surplus !== undefined || plan.takes === null) return
    triedAtMs.set(spec.id, nowMs)
    const state = vm.status?.state
    // What is off has no memory; what was written since is on its disks.
    const kind = state === 'running' || state === 'paused' ? schedule.kind : 'disk'
    const refusal = refuseSnapshot(cluster, vm, { name: plan.takes, kind })
    if (refusal !== undefined) {
      const message = `the snapshot that was due is not taken: ${refusal.message}`
      await leader.events.record({ kind: 'vm.snapshot-skipped', subject: spec.name, message, vmId: spec.id })
      return
    }
    const wish = { name: plan.takes, note: '', kind, freeze: 'if-able', origin: 'schedule' } as const
    await tasks.take(spec, { ...wish, setId: null, isProtected: false }, user)
  }
  return {
    async look() {
      await closeLeftOperations(leader)
      for (const vm of leader.index.state().vms.values()) await lookAt(vm)
    },
  }
}

/** One thing at a time: what is due is due a moment later as well. */
function isBusy(leader: Leader, vmId: VmId): boolean {
  return [...leader.index.state().tasks.values()].some(
    (task) => task.vmId === vmId && task.endedAt === null && task.kind.startsWith('vm.'),
  )
}
