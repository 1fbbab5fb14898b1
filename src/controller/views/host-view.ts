import { usageOf } from '../../control/place-vm.ts'
import type { HostView, StorageView } from '../../model/api/views.ts'
import type { ClusterState, HostRecord } from '../../model/cluster-state.ts'
import type { StorageSpec } from '../../model/storage.ts'

export function hostView(cluster: ClusterState, { spec, status }: HostRecord, silentMs: number | null): HostView {
  const used = usageOf(spec.id, undefined, cluster)
  const vmNames = [...cluster.vms.values()]
    .filter(({ placement }) => placement?.hostId === spec.id)
    .map((vm) => vm.spec.name)
  // What is stored is whether it answers; people see what it is there for.
  const isInMaintenance = status.state === 'online' && spec.maintenance !== null
  const seen: HostView['status'] = isInMaintenance ? { ...status, state: 'maintenance' } : status
  return {
    ...spec,
    status: seen,
    silentMs,
    usedMemoryMiB: used.memoryMiB,
    usedCpus: used.cpus,
    vmNames: vmNames.sort(),
  }
}

export function storageView(cluster: ClusterState, storage: StorageSpec): StorageView {
  const volumes = [...cluster.volumes.values()].filter((volume) => volume.storageId === storage.id).length
  return {
    ...storage,
    hostName: storage.hostId === null ? null : (cluster.hosts.get(storage.hostId)?.spec.name ?? null),
    volumes,
  }
}
