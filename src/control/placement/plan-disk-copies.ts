/** Where the disks of a machine go that are on storage which its next host doesn't have. Pure; asked of every host that might take it. */
import { boundHostOf, type ClusterState, type HostRecord, type VmRecord } from '../../model/cluster-state.ts'
import type { StorageId } from '../../model/ids.ts'
import { type DiskCopy, withCopies } from '../../model/migration/disk-copy.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { VmSpec } from '../../model/vm.ts'
import { describeRootedness } from '../snapshots/snapshot-tree.ts'

export type PlannedCopy = Omit<DiskCopy, 'baseVersion'> & { readonly sizeMiB: number }
export type DiskPlan =
  | { readonly kind: 'planned'; readonly copies: readonly PlannedCopy[] }
  | { readonly kind: 'refused'; readonly reason: string }

/** `storage`: the name or id of where they are to go; else they go to the host's own storages, with the most room first. */
export type CopyWish = { readonly storage?: string | undefined }

/** A disk needs room for all that it may come to hold, wherever it goes: what it holds today is known to nobody here. */
export function planDiskCopies(
  host: HostRecord,
  vm: VmSpec,
  { cluster, wish = {} }: { readonly cluster: ClusterState; readonly wish?: CopyWish },
): DiskPlan {
  const refused = (reason: string): DiskPlan => ({ kind: 'refused', reason })
  const away = vm.disks.filter(({ storageId }) => !host.status.storageIds.includes(storageId))
  const unreachable = away.map(({ storageId }) => cluster.storages.get(storageId)).find((one) => one?.shared === true)
  if (unreachable !== undefined) return refused(`it doesn't have the storage ${unreachable.name}`)
  if (away.length === 0 && wish.storage === undefined) return { kind: 'planned', copies: [] }
  if (away.length === 0) return refused(`it has the storage of every disk already, so none goes to ${wish.storage}`)
  const rooted = describeRootedness(cluster, vm.id)
  if (rooted !== undefined) return refused(`it doesn't have the machine's disks, and ${rooted}`)
  const candidates = storagesOf(host, cluster).filter((storage) =>
    wish.storage === undefined ? storage.hostId === host.spec.id : isNamed(storage, wish.storage),
  )
  if (candidates.length === 0) return refused(describeLack(host, wish))
  const room = new Map(candidates.map(({ id }) => [id, roomOn(id, host, cluster)]))
  const copies: PlannedCopy[] = []
  for (const { volumeId, storageId, sizeMiB } of away) {
    const isNamesake = ({ name }: StorageSpec) => name === cluster.storages.get(storageId)?.name
    const roomy = candidates.filter(({ id }) => (room.get(id) ?? 0) >= sizeMiB)
    const best = roomy.find(isNamesake) ?? roomy.toSorted((one, other) => roomOf(other) - roomOf(one))[0]
    if (best === undefined) return refused(describeShortage(candidates, { sizeMiB, room }))
    room.set(best.id, roomOf(best) - sizeMiB)
    copies.push({ volumeId, fromStorageId: storageId, toStorageId: best.id, sizeMiB })
  }
  return { kind: 'planned', copies }

  function roomOf({ id }: StorageSpec): number {
    return room.get(id) ?? 0
  }
}

/** The cluster with the disks where they would be. */
export function afterCopies(cluster: ClusterState, vm: VmRecord, copies: readonly PlannedCopy[]): ClusterState {
  const disks = withCopies(vm.spec.disks, copies)
  const spec = { ...vm.spec, disks, boundToHostId: boundHostOf(disks, cluster.storages) }
  const hosts = new Map(cluster.hosts)
  for (const [hostId, host] of hosts) {
    const storageRoom = host.status.storageRoom.map(({ storageId, freeMiB }) => {
      const coming = copies.filter(({ toStorageId }) => toStorageId === storageId)
      return { storageId, freeMiB: freeMiB - coming.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0) }
    })
    hosts.set(hostId, { ...host, status: { ...host.status, storageRoom } })
  }
  return { ...cluster, hosts, vms: new Map(cluster.vms).set(spec.id, { ...vm, spec }) }
}

function storagesOf({ status }: HostRecord, { storages }: ClusterState): readonly StorageSpec[] {
  return status.storageIds.flatMap((storageId) => storages.get(storageId) ?? [])
}

function isNamed({ id, name }: StorageSpec, wished: string): boolean {
  return id === wished || name === wished
}

/** What is free there, without what is on its way; undefined while the host has not told. */
function roomOn(storageId: StorageId, { status }: HostRecord, { vms }: ClusterState): number | undefined {
  const told = status.storageRoom.find((one) => one.storageId === storageId)
  if (told === undefined) return undefined
  let comingMiB = 0
  for (const { spec, migration } of vms.values()) {
    for (const copy of migration?.disks ?? []) {
      if (copy.toStorageId !== storageId) continue
      comingMiB += spec.disks.find(({ volumeId }) => volumeId === copy.volumeId)?.sizeMiB ?? 0
    }
  }
  return told.freeMiB - comingMiB
}

function describeLack({ spec }: HostRecord, { storage }: CopyWish): string {
  if (storage !== undefined) return `it doesn't have the storage ${storage}`
  return `it has no storage of its own for the machine's disks: declare one with dialtone storage create NAME --host ${spec.name} --path PATH`
}

function describeShortage(
  candidates: readonly StorageSpec[],
  { sizeMiB, room }: { readonly sizeMiB: number; readonly room: ReadonlyMap<StorageId, number | undefined> },
): string {
  const found = candidates.map(({ id, name }) => {
    const freeMiB = room.get(id)
    return freeMiB === undefined ? `${name} (not told yet)` : `${name} (${Math.max(0, freeMiB)} MiB free)`
  })
  return `no storage there has room for a disk of ${sizeMiB} MiB: ${found.join(', ')}; free some, or name another one with --storage`
}
