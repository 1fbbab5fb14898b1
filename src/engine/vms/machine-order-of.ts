/** Resolves a VM to what its agent is told to run. */
import { type ClusterState, isLeased, type VmRecord } from '../../model/cluster-state.ts'
import type { MachineOrder } from '../../model/machine-order.ts'

export function machineOrderOf(cluster: ClusterState, { spec, placement }: VmRecord): MachineOrder {
  const host = placement === undefined ? undefined : cluster.hosts.get(placement.hostId)
  return {
    vmId: spec.id,
    name: spec.name,
    number: spec.number,
    hardware: spec.hardware,
    cpus: spec.cpus,
    memoryMiB: spec.memoryMiB,
    nic: { macAddress: spec.macAddress, address: spec.address },
    disks: spec.disks.map(({ volumeId, storageId, format }) => ({ volumeId, storageId, format })),
    templateVersion: spec.templateVersion,
    extraCommandLine: spec.extraCommandLine,
    generationId: spec.generationId,
    // Where nothing enforces a lease, none is counted on: there only a power fence or a person can prove it dead.
    leased: isLeased(spec, cluster.storages) && host?.status.armed !== 'none',
  }
}
