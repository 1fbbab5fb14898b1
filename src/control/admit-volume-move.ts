/** Whether a volume may be moved to another storage, and by which host: or why not. Pure. */
import { boundHostOf, type ClusterState, type HostRecord, isAnswering, type VmRecord } from '../model/cluster-state.ts'
import type { ErrorCode } from '../model/dialtone-error.ts'
import { refuseRootCopy } from '../model/guest.ts'
import type { HostId } from '../model/ids.ts'
import { withCopies } from '../model/migration/disk-copy.ts'
import { describeOperation } from '../model/snapshots/vm-operation.ts'
import type { StorageSpec, VolumeSpec } from '../model/storage.ts'
import { describeRootedness } from './snapshots/snapshot-tree.ts'

export type VolumeMoveVerdict =
  | {
      readonly kind: 'admitted'
      readonly hostId: HostId
      /** Of the machine whose process copies it; null: the machine is stopped. */
      readonly epoch: number | null
    }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }

type Question = { readonly vm: VmRecord; readonly volume: VolumeSpec; readonly to: StorageSpec }

export function admitVolumeMove(cluster: ClusterState, { vm, volume, to }: Question): VolumeMoveVerdict {
  const { spec, placement, migration, operation } = vm
  const refused = (code: ErrorCode, message: string) => ({ kind: 'refused', code, message }) as const
  if (volume.storageId === to.id) return refused('wrong-state', `${volume.id} is on ${to.name} already`)
  if (migration !== undefined) return refused('in-use', `${spec.name} is being moved to another host`)
  const busy = spec.disks.find(({ volumeId }) => (cluster.volumes.get(volumeId)?.move ?? null) !== null)
  if (busy !== undefined) return refused('in-use', `a volume of ${spec.name} is being moved already`)
  const bound = volume.id === spec.disks[0]?.volumeId ? refuseRootCopy(spec.guest) : undefined
  if (bound !== undefined) return refused('wrong-state', `the root disk of ${spec.name} can't be moved: ${bound}`)
  if (operation !== undefined) return refused('in-use', `${spec.name}: ${describeOperation(operation)}`)
  const rooted = describeRootedness(cluster, spec.id)
  if (rooted !== undefined) return refused('in-use', `the disks of ${spec.name} stay where they are: ${rooted}`)
  const forbidden = refuseStorage(cluster, { vm, volume, to })
  if (forbidden !== undefined) return refused('invalid-input', forbidden)
  const state = spec.lifecycle === 'live' ? (vm.status?.state ?? 'stopped') : spec.lifecycle
  const isStopped = state === 'stopped' && spec.desired === 'stopped'
  if (!isStopped && (state !== 'running' || spec.desired !== 'running' || placement === undefined))
    return refused('wrong-state', `${spec.name} is ${state}: its volumes move while it runs, or while it is stopped`)
  const home = placement === undefined ? undefined : cluster.hosts.get(placement.hostId)
  const able = isStopped ? [...(home === undefined ? [] : [home]), ...cluster.hosts.values()] : [home]
  const reasons: string[] = []
  for (const host of able) {
    if (host === undefined) continue
    const reason = refuseHost(host, cluster, { vm, volume, to })
    if (reason === undefined)
      return { kind: 'admitted', hostId: host.spec.id, epoch: isStopped ? null : (placement?.epoch ?? null) }
    if (!reasons.includes(reason)) reasons.push(reason)
  }
  const elsewhere = `to a storage of another host it goes with its machine: dialtone vm migrate ${spec.name} --storage ${to.name}`
  return refused('no-host-fits', `no host can copy it: ${reasons.join('; ') || 'none has joined'}; ${elsewhere}`)
}

/** What the machine would be with its disk there. */
function refuseStorage({ storages }: ClusterState, { vm: { spec }, volume, to }: Question): string | undefined {
  if (spec.ha && !to.shared) return `HA needs shared storage, and ${to.name} is local to one host`
  const disks = withCopies(spec.disks, [{ volumeId: volume.id, toStorageId: to.id }])
  const boundTo = boundHostOf(disks, storages)
  const isTorn = disks.some(({ storageId }) => {
    const hostId = storages.get(storageId)?.hostId ?? null
    return hostId !== null && hostId !== boundTo
  })
  return isTorn ? `${spec.name} would have disks that are local to different hosts` : undefined
}

function refuseHost(host: HostRecord, { storages }: ClusterState, { vm, volume, to }: Question): string | undefined {
  const { spec, status } = host
  if (!isAnswering(host)) return `${spec.name} does not answer`
  const missing = [volume.storageId, to.id].find((storageId) => !status.storageIds.includes(storageId))
  if (missing !== undefined) return `${spec.name} doesn't have the storage ${storages.get(missing)?.name ?? missing}`
  const freeMiB = status.storageRoom.find(({ storageId }) => storageId === to.id)?.freeMiB
  if (freeMiB === undefined) return `${spec.name} has not told yet how much room ${to.name} has`
  const sizeMiB = vm.spec.disks.find(({ volumeId }) => volumeId === volume.id)?.sizeMiB ?? volume.sizeMiB
  return freeMiB < sizeMiB ? `${to.name} has ${freeMiB} MiB free, the disk may need ${sizeMiB}` : undefined
}
