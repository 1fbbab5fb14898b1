/** Whether a snapshot of a machine may be taken, returned to or deleted now, or why not. Pure. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { ErrorCode } from '../../model/dialtone-error.ts'
import { refuseMemoryImages } from '../../model/guest.ts'
import { longestChain, type Snapshot, type SnapshotKind } from '../../model/snapshots/snapshot.ts'
import { describeOperation } from '../../model/snapshots/vm-operation.ts'
import { type VmAction, type VmSpec, vmActionTable } from '../../model/vm.ts'
import { ancestorsOf, snapshotsOf } from './snapshot-tree.ts'

export type SnapshotRefusal = { readonly code: ErrorCode; readonly message: string }

/** Undefined when it may. */
export function refuseSnapshot(
  cluster: ClusterState,
  vm: VmRecord,
  { name, kind }: { readonly name: string; readonly kind: SnapshotKind },
): SnapshotRefusal | undefined {
  const { spec } = vm
  const busy = refuseBusy(cluster, vm, 'snapshot')
  if (busy !== undefined) return busy
  if (spec.disks.some(({ format }) => format !== 'qcow2'))
    return { code: 'image-unfit', message: `${spec.name} has a raw disk: only qcow2 disks can be part of a snapshot` }
  const own = snapshotsOf(cluster, spec.id)
  if (own.some((snapshot) => snapshot.name === name))
    return { code: 'name-taken', message: `${spec.name} has a snapshot ${name} already` }
  const depth = ancestorsOf(own, spec.basedOnSnapshotId).length
  if (depth >= longestChain)
    return {
      code: 'wrong-state',
      message: `${spec.name} has ${depth} snapshots in a row, and no more fit: delete one with dialtone vm snapshot delete, and what is on its layers is merged`,
    }
  return kind === 'memory' ? refuseMemory(cluster, vm) : undefined
}

export function refuseRevert(cluster: ClusterState, vm: VmRecord): SnapshotRefusal | undefined {
  return refuseBusy(cluster, vm, 'revert')
}

/** Whether its disks may be cloned now; a named snapshot of it needs no more than that nobody works on them. */
export function refuseClone(cluster: ClusterState, vm: VmRecord): SnapshotRefusal | undefined {
  return refuseBusy(cluster, vm, 'snapshot')
}

/** Whether its memory may be captured now, for its recoveries or for clones that begin with it. */
export function refuseCapture(cluster: ClusterState, vm: VmRecord): SnapshotRefusal | undefined {
  const busy = refuseBusy(cluster, vm, 'snapshot')
  if (busy !== undefined) return busy
  const { spec, status } = vm
  const state = status?.state ?? 'stopped'
  if (state === 'running') return undefined
  const message = `${spec.name} is ${state}: only a running machine has a memory to capture; let it run first`
  return { code: 'wrong-state', message }
}

/** Whether machines may begin with its memory now. */
export function refuseMemoryClone(cluster: ClusterState, vm: VmRecord): SnapshotRefusal | undefined {
  const { name, disks } = vm.spec
  if (disks.length > 1)
    return {
      code: 'image-unfit',
      message: `${name} has further disks: a clone from memory would write to them, or find others under a file system that it has mounted; clone its disks with dialtone vm clone ${name} --linked`,
    }
  return refuseCapture(cluster, vm)
}

/** Why nothing can be made of this snapshot's disks; undefined when they are where they were. */
export function refuseMovedDisks(
  { volumes }: ClusterState,
  { spec }: VmRecord,
  snapshot: Snapshot,
): SnapshotRefusal | undefined {
  const moved = snapshot.disks.find(({ volumeId, storageId }) => volumes.get(volumeId)?.storageId !== storageId)
  if (moved === undefined) return undefined
  return {
    code: 'wrong-state',
    message: `${moved.volumeId} of ${spec.name} is not any more where it was at ${snapshot.name}: take the machine as it is now`,
  }
}

export function refuseDelete(vm: VmRecord, snapshot: Snapshot): SnapshotRefusal | undefined {
  const { spec, operation, change } = vm
  if (snapshot.isProtected)
    return {
      code: 'wrong-state',
      message: `${snapshot.name} of ${spec.name} is protected: take that back first, with dialtone vm snapshot protect ${spec.name} ${snapshot.name} --off`,
    }
  if (change?.snapshotId === snapshot.id)
    return {
      code: 'in-use',
      message: `a change of ${spec.name} may return to ${snapshot.name}: end it with dialtone vm change commit ${spec.name}`,
    }
  if (operation !== undefined) return { code: 'in-use', message: `${spec.name}: ${describeOperation(operation)}` }
  return undefined
}

function refuseMemory(cluster: ClusterState, { spec, status }: VmRecord): SnapshotRefusal | undefined {
  const state = status?.state ?? 'stopped'
  if (state !== 'running' && state !== 'paused')
    return { code: 'wrong-state', message: `${spec.name} is ${state}: only one that runs has a memory; take its disks` }
  return refuseAnyMemory(cluster, spec)
}

/** Why no snapshot of it ever has its memory; undefined when those of it that run do. */
export function refuseAnyMemory(cluster: ClusterState, spec: VmSpec): SnapshotRefusal | undefined {
  const unfit = refuseMemoryImages(spec.guest)
  if (unfit !== undefined)
    return { code: 'image-unfit', message: `${spec.name} can't be resumed from memory: ${unfit}; take its disks` }
  const template = cluster.templates.get(spec.templateId)
  if (template?.canResume === false)
    return {
      code: 'image-unfit',
      message: `${template.name} can't be resumed from memory: no agent in it could give a resumed machine new random numbers; take its disks`,
    }
  return undefined
}

function refuseBusy(
  { volumes }: ClusterState,
  { spec, status, migration, operation }: VmRecord,
  action: VmAction,
): SnapshotRefusal | undefined {
  const state = spec.lifecycle === 'live' ? (status?.state ?? 'stopped') : spec.lifecycle
  if (migration !== undefined)
    return { code: 'in-use', message: `${spec.name} is being moved to another host: wait until it is there` }
  if (operation !== undefined) return { code: 'in-use', message: `${spec.name}: ${describeOperation(operation)}` }
  if (spec.disks.some(({ volumeId }) => (volumes.get(volumeId)?.move ?? null) !== null))
    return {
      code: 'in-use',
      message: `a volume of ${spec.name} is being moved to another storage: wait until it is there`,
    }
  if (vmActionTable[action].includes(state)) return undefined
  return { code: 'wrong-state', message: `${spec.name} is ${state}; this needs it ${vmActionTable[action].join(', ')}` }
}
