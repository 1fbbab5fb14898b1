/** Disks of a VM over the API: one more, a larger one, one less; while it runs or is stopped. */
import {
  admitDisk,
  findDisk,
  growDisk,
  refuseChange,
  refuseDeleteDisk,
  refuseDetach,
} from '../../control/growth/admit-disk.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { VmView } from '../../model/api/views.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { makeId, volumeIdSchema } from '../../model/ids.ts'
import type { DiskFormat } from '../../model/machine-order.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Caller } from '../../transport/caller.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'

type NewDisk = { readonly sizeMiB: number; readonly format: DiskFormat; readonly storage?: string | undefined }

export async function attachDisk(
  context: ApiContext,
  reference: string,
  { wish, caller }: { readonly wish: NewDisk | { readonly disk: string }; readonly caller: Caller },
) {
  if ('disk' in wish) return putBack(context, reference, { disk: wish.disk, caller })
  const { leader } = context.engine
  const { spec, ...vm } = findVm(context, reference)
  const admission = admitDisk(leader.index.state(), { spec, ...vm }, wish)
  if (admission.kind === 'refused') throw new DialtoneError(admission.code, admission.message)
  const { sizeMiB, format } = wish
  const volumeId = makeId('vol', volumeIdSchema, leader.randomBytes(8))
  const disk = { volumeId, storageId: admission.storage.id, format, sizeMiB }
  return beginTask(context, spec, { kind: 'vm.attach-disk', journal: { vmId: spec.id, disk, isNew: true }, caller })
}

/** One that was taken out and stayed the VM's. */
async function putBack(
  context: ApiContext,
  reference: string,
  { disk: which, caller }: { readonly disk: string; readonly caller: Caller },
) {
  const { leader } = context.engine
  const { spec } = findVm(context, reference)
  const disk = requireDisk(spec, which)
  if (disk.isDetached !== true) throw new DialtoneError('in-use', `${spec.name} has this disk already`)
  const { isDetached: _gone, ...attached } = disk
  await change(context, reference, (vm) => {
    const busy = refuseChange(leader.index.state(), vm)
    if (busy !== undefined) throw new DialtoneError(busy.code, busy.message)
    const disks = vm.spec.disks.map((one) => (one.volumeId === disk.volumeId ? attached : one))
    return { spec: { ...vm.spec, disks }, message: `disk ${disk.volumeId} was put back by ${caller.name}`, caller }
  })
  const now = leader.index.state().vms.get(spec.id)?.spec ?? spec
  return beginTask(context, now, {
    kind: 'vm.attach-disk',
    journal: { vmId: spec.id, disk: attached, isNew: false },
    caller,
  })
}

export async function resizeDisk(
  context: ApiContext,
  reference: string,
  { disk: which, sizeMiB, caller }: { readonly disk: string; readonly sizeMiB: number; readonly caller: Caller },
): Promise<VmView> {
  const state = () => context.engine.leader.index.state()
  return change(context, reference, (vm) => {
    const disk = requireDisk(vm.spec, which)
    const verdict = growDisk(state(), vm, { disk, sizeMiB })
    if (verdict.kind === 'refused') throw new DialtoneError(verdict.code, verdict.message)
    const message = `disk ${disk.volumeId} grows from ${disk.sizeMiB} to ${sizeMiB} MiB, by ${caller.name}`
    return { spec: verdict.spec, message, caller, resized: { volumeId: disk.volumeId, sizeMiB } }
  })
}

export async function detachDisk(
  context: ApiContext,
  reference: string,
  {
    disk: which,
    isToBeDeleted,
    caller,
  }: { readonly disk: string; readonly isToBeDeleted: boolean; readonly caller: Caller },
) {
  const { leader } = context.engine
  const vm = findVm(context, reference)
  const disk = requireDisk(vm.spec, which)
  const refuse = isToBeDeleted ? refuseDeleteDisk : refuseDetach
  const refusal = refuse(leader.index.state(), vm, disk)
  if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
  const what = { kind: 'disk', volumeId: disk.volumeId, isToBeDeleted } as const
  return beginTask(context, vm.spec, { kind: 'vm.detach-disk', journal: { vmId: vm.spec.id, what }, caller })
}

type Change = {
  readonly spec: VmSpec
  readonly message: string
  readonly caller: Caller
  readonly resized?: { readonly volumeId: VmSpec['disks'][number]['volumeId']; readonly sizeMiB: number }
}

async function change(context: ApiContext, reference: string, make: (vm: VmRecord) => Change): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    const { spec, message, caller, resized } = make(vm)
    const { id } = spec
    const volume = resized === undefined ? undefined : leader.index.state().volumes.get(resized.volumeId)
    const result = await commitAndSee(leader, {
      conditions: [keys.vm(id), keys.vmMigration(id), keys.vmOperation(id)].map((key) => unchanged(leader, key)),
      writes: [
        put(keys.vm(id), spec),
        ...(resized === undefined || volume === undefined
          ? []
          : [put(keys.volume(volume.id), { ...volume, sizeMiB: resized.sizeMiB })]),
        leader.events.write({ kind: 'vm.disk-changed', subject: spec.name, message, vmId: id, user: caller.name }),
      ],
    })
    return result.kind === 'committed' ? viewOfVm(context, id) : undefined
  })
}

/** Begins a task that follows a change of the VM's hardware. */
export async function beginTask(
  context: ApiContext,
  { id: vmId, name: subject }: VmSpec,
  { kind, journal, caller }: { readonly kind: string; readonly journal: object; readonly caller: Caller },
) {
  const { leader, tasks } = context.engine
  const { task, write } = tasks.prepare({ kind, subject, user: caller.name, vmId, journal })
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return { vm: viewOfVm(context, vmId), task: viewOfTask(task) }
}

function requireDisk(spec: VmSpec, reference: string): VmSpec['disks'][number] {
  const disk = findDisk(spec, reference)
  if (disk === undefined) throw new DialtoneError('not-found', `${spec.name} has no disk ${reference}`)
  return disk
}
