/** Whether a VM may get one more disk, may have one taken out, or made larger. Pure. */
import { boundHostOf, type ClusterState, type VmRecord } from '../../model/cluster-state.ts'
import type { ErrorCode } from '../../model/dialtone-error.ts'
import type { DiskFormat } from '../../model/machine-order.ts'
import { describeOperation } from '../../model/snapshots/vm-operation.ts'
import type { StorageSpec } from '../../model/storage.ts'
import type { VmSpec } from '../../model/vm.ts'

export type DiskRefusal = { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
type Disk = VmSpec['disks'][number]

/** As many as there are places for at a start. */
export const maximumDisks = 10

export type DiskWish = { readonly sizeMiB: number; readonly format: DiskFormat; readonly storage?: string | undefined }

/** The storage of the new disk: the one that is named, or that of the root disk. */
export function admitDisk(
  cluster: ClusterState,
  vm: VmRecord,
  wish: DiskWish,
): { readonly kind: 'admitted'; readonly storage: StorageSpec } | DiskRefusal {
  const { spec } = vm
  const busy = refuseChange(cluster, vm)
  if (busy !== undefined) return busy
  if (spec.disks.length >= maximumDisks)
    return refused('invalid-input', `${spec.name} has ${maximumDisks} disks, the most that there can be`)
  if (spec.recovery.mode === 'checkpoint' && wish.format !== 'qcow2')
    return refused('invalid-input', 'checkpoints take all disks, and only qcow2 disks can be part of one')
  const unknown = refuseGuest(vm, 'disk')
  if (unknown !== undefined) return unknown
  const storage = findStorage(cluster, spec, wish.storage)
  if (storage === undefined) return refused('not-found', `there is no storage ${wish.storage ?? ''}`)
  if (spec.ha && !storage.shared)
    return refused('invalid-input', `${spec.name} has HA, which needs shared storage; ${storage.name} is local`)
  if (storage.hostId !== null && storage.hostId !== spec.boundToHostId) {
    const where = spec.boundToHostId === null ? 'runs on any host' : 'is bound to another host'
    return refused('invalid-input', `${storage.name} is local to one host, and ${spec.name} ${where}`)
  }
  return { kind: 'admitted', storage }
}

/** The VM with this disk as large; a disk that is as large already is left as it is. */
export function growDisk(
  cluster: ClusterState,
  vm: VmRecord,
  { disk, sizeMiB }: { readonly disk: Disk; readonly sizeMiB: number },
): { readonly kind: 'admitted'; readonly spec: VmSpec } | DiskRefusal {
  const { spec } = vm
  const busy = refuseChange(cluster, vm)
  if (busy !== undefined) return busy
  if (sizeMiB < disk.sizeMiB)
    return refused(
      'invalid-input',
      `the disk has ${disk.sizeMiB} MiB and is not made smaller: what is beyond ${sizeMiB} MiB would be lost`,
    )
  const disks = spec.disks.map((one) => (one.volumeId === disk.volumeId ? { ...one, sizeMiB } : one))
  return { kind: 'admitted', spec: { ...spec, disks } }
}

/** Undefined when it may be taken out. */
export function refuseDetach(cluster: ClusterState, vm: VmRecord, disk: Disk): DiskRefusal | undefined {
  const { spec } = vm
  if (disk.volumeId === spec.disks[0]?.volumeId)
    return refused('invalid-input', `it is the root disk of ${spec.name}, which stays`)
  return refuseChange(cluster, vm)
}

/** Its volume goes, too: nothing may need it any more. */
export function refuseDeleteDisk(cluster: ClusterState, vm: VmRecord, disk: Disk): DiskRefusal | undefined {
  const snapshots = [...cluster.snapshots.values()].filter(
    ({ vmId, disks }) => vmId === vm.spec.id && disks.some(({ volumeId }) => volumeId === disk.volumeId),
  )
  if (snapshots.length > 0)
    return refused(
      'in-use',
      `snapshots of ${vm.spec.name} hold this disk: ${snapshots.map(({ name }) => name).join(', ')}`,
    )
  return refuseDetach(cluster, vm, disk)
}

/** By its place among the VM's disks, or its volume's id. */
export function findDisk(spec: VmSpec, reference: string): Disk | undefined {
  return spec.disks.find(({ volumeId }, index) => volumeId === reference || `${index}` === reference)
}

/** What a task is doing with its disks, or with itself, is not to be disturbed. */
export function refuseChange(
  { volumes }: ClusterState,
  { spec, migration, operation }: VmRecord,
): DiskRefusal | undefined {
  if (spec.lifecycle !== 'live') return refused('wrong-state', `${spec.name} is ${spec.lifecycle}`)
  if (migration !== undefined) return refused('in-use', `${spec.name} is being moved: change it when it has arrived`)
  if (operation !== undefined)
    return refused('in-use', `${spec.name} is not changed now: ${describeOperation(operation)}`)
  const isMoving = spec.disks.some(({ volumeId }) => (volumes.get(volumeId)?.move ?? null) !== null)
  return isMoving ? refused('in-use', `a volume of ${spec.name} is being moved to another storage`) : undefined
}

/** What comes while it runs is virtio's: a system without its drivers gets disks and cards while it is off. */
export function refuseGuest({ spec, status }: VmRecord, what: 'disk' | 'card'): DiskRefusal | undefined {
  const isOff = spec.desired === 'stopped' && (status === undefined || status.state === 'stopped')
  if (isOff || spec.guest.devices === 'virtio') return undefined
  return refused(
    'wrong-state',
    `${spec.name} has emulated devices and gets a ${what} while it is off: dialtone vm stop ${spec.name}`,
  )
}

function findStorage(cluster: ClusterState, spec: VmSpec, reference: string | undefined): StorageSpec | undefined {
  const [root] = spec.disks
  if (reference === undefined) return root === undefined ? undefined : cluster.storages.get(root.storageId)
  const named = [...cluster.storages.values()].filter(({ id, name }) => id === reference || name === reference)
  const home = spec.boundToHostId ?? boundHostOf(spec.disks, cluster.storages)
  return named.find(({ hostId }) => hostId === home) ?? named[0]
}

function refused(code: ErrorCode, message: string): DiskRefusal {
  return { kind: 'refused', code, message }
}
