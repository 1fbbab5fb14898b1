/** Opens and closes the record that a task works on a machine's disks: see `model/snapshots/vm-operation.ts`. */

import { nextEpoch } from '../../control/next-epoch.ts'
import type { SnapshotRefusal } from '../../control/snapshots/admit-snapshot.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TaskId, VmId } from '../../model/ids.ts'
import type { VmOperation } from '../../model/snapshots/vm-operation.ts'
import type { VmSpec } from '../../model/vm.ts'
import { commitAndSee, type Leader, put, unchanged, untilCommitted } from '../leader.ts'
import { keys } from '../state/keys.ts'

export type OperationWish = {
  readonly vmId: VmId
  readonly taskId: TaskId
  readonly kind: VmOperation['kind']
  /** Why it can't be now; what is looked at is the same that is committed on. */
  refuse(vm: VmRecord): SnapshotRefusal | undefined
  /** Changes of the machine that go with it. */
  change?(spec: VmSpec): VmSpec
  epochFloor(): number
}

/** Opens it unless this task has. Throws the refusal, or `in-use` while another task works on its disks. */
export function openOperation(leader: Leader, wish: OperationWish): Promise<VmOperation> {
  return untilCommitted('the machine', async () => {
    const vm = leader.index.state().vms.get(wish.vmId)
    if (vm === undefined) throw new DialtoneError('not-found', 'the VM was deleted')
    if (vm.operation?.taskId === wish.taskId) return vm.operation
    const { spec, placement } = vm
    const refusal = wish.refuse(vm)
    if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
    const state = vm.status?.state ?? 'stopped'
    const needsClosed = state !== 'running' && state !== 'paused'
    const epoch = needsClosed && placement !== undefined ? Math.max(nextEpoch(vm), wish.epochFloor()) : null
    const { taskId, kind } = wish
    const openedAt = leader.clock.wallTime().toISOString()
    const operation: VmOperation = { taskId, kind, needsClosed, epoch, openedAt }
    const { id } = spec
    const ofDisks = spec.disks.map(({ volumeId }) => keys.volume(volumeId))
    const ofVm = [keys.vm(id), keys.vmPlacement(id), keys.vmStatus(id), keys.vmMigration(id), keys.vmOperation(id)]
    const conditions = [...ofVm, ...ofDisks]
    const result = await commitAndSee(leader, {
      conditions: conditions.map((key) => unchanged(leader, key)),
      writes: [
        put(keys.vmOperation(id), operation),
        // No life of it is ever promised the epoch that its disks are claimed under now.
        ...(epoch === null || placement === undefined
          ? []
          : [put(keys.vmPlacement(id), { ...placement, spentEpoch: epoch })]),
        ...(wish.change === undefined ? [] : [put(keys.vm(id), wish.change(spec))]),
      ],
    })
    return result.kind === 'committed' ? operation : undefined
  })
}

/** One that another task has is left alone. Doing it again is fine. */
export async function closeOperation(leader: Leader, vmId: VmId, taskId: TaskId): Promise<void> {
  await untilCommitted('the machine', async () => {
    if (leader.index.state().vms.get(vmId)?.operation?.taskId !== taskId) return true
    const key = keys.vmOperation(vmId)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [{ kind: 'delete', key }],
    })
    return result.kind === 'committed' ? true : undefined
  })
}

/** Those whose task has ended without closing them, as when the store failed at its very end. */
export async function closeLeftOperations(leader: Leader): Promise<void> {
  const { vms, tasks } = leader.index.state()
  for (const [vmId, { operation }] of vms) {
    if (operation === undefined || tasks.get(operation.taskId)?.endedAt === null) continue
    leader.logger.warn('operation.left-open', { vmId, ...operation })
    await closeOperation(leader, vmId, operation.taskId)
  }
}
