/** Removes everything that the store holds of a VM, with its claims, in one transaction. Doing it again is fine. */
import { snapshotsOf } from '../../control/snapshots/snapshot-tree.ts'
import type { VmId } from '../../model/ids.ts'
import { nicsOf } from '../../model/network.ts'
import type { Write } from '../../store/store.ts'
import { commitAndSee, type Leader } from '../leader.ts'
import { addressClaimOf } from '../networks/card-claims.ts'
import { keys } from '../state/keys.ts'
import { discard } from '../volumes/discard-volume.ts'
import { discardCopies } from './mirror-disks.ts'

export async function forgetVm(leader: Leader, vmId: VmId, event?: Write): Promise<void> {
  const vm = leader.index.state().vms.get(vmId)
  if (vm === undefined) return
  const copies = vm.spec.disks.flatMap(({ volumeId }) => {
    const { storageId, move } = leader.index.state().volumes.get(volumeId) ?? {}
    if (move === null || move === undefined || move.toStorageId === storageId) return []
    return [discard(leader, { volumeId, storageId: move.toStorageId }, 'its machine was deleted while it moved')]
  })
  const gone = [
    keys.vmPlacement(vmId),
    keys.vmStatus(vmId),
    keys.vmStandby(vmId),
    keys.vmMigration(vmId),
    keys.vmOperation(vmId),
    keys.vmChange(vmId),
    keys.vmSnapshotSchedule(vmId),
    keys.manifest(vmId),
    ...snapshotsOf(leader.index.state(), vmId).map(({ id }) => keys.snapshot(id)),
    keys.nameClaim('vm', vm.spec.name),
    ...nicsOf(vm.spec).map(addressClaimOf),
    keys.numberClaim('vm', vm.spec.number),
    ...vm.spec.disks.map((disk) => keys.volume(disk.volumeId)),
    keys.vm(vmId),
  ]
  await commitAndSee(leader, {
    conditions: [],
    writes: [
      ...copies,
      ...discardCopies(leader, vm.migration, 'its machine was deleted while it moved'),
      ...gone.map((key) => ({ kind: 'delete' as const, key })),
      ...(event === undefined ? [] : [event]),
    ],
  })
}
