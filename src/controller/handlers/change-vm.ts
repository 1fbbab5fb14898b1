/** Changes of a VM that runs on: its size and limits, how it recovers, what its service is; and a new memory image on request. */
import { refuseChange } from '../../control/growth/admit-disk.ts'
import { admitSize } from '../../control/growth/admit-size.ts'
import { refuseCapture } from '../../control/snapshots/admit-snapshot.ts'
import { commitAndSee, type Leader, oneAdmission, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { VmView } from '../../model/api/views.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { Limits } from '../../model/growth.ts'
import { refuseMemoryImages } from '../../model/guest.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Caller } from '../../transport/caller.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'
import { refuse } from './refuse-snapshot.ts'

type Changes = {
  readonly recovery?: VmSpec['recovery'] | undefined
  readonly probe?: VmSpec['probe'] | undefined
  readonly drillable?: boolean | undefined
  readonly cpus?: number | undefined
  readonly memoryMiB?: number | undefined
  readonly limits?: { readonly [Limit in keyof Limits]?: Limits[Limit] | undefined } | undefined
  readonly force: boolean
}

export async function changeVm(
  context: ApiContext,
  reference: string,
  { change, caller }: { readonly change: Changes; readonly caller: Caller },
): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    const isChanged = await enterChange(leader, vm, { change, user: caller.name })
    return isChanged ? viewOfVm(context, vm.spec.id) : undefined
  })
}

/** Checks and commits it. False when the machine was changed meanwhile; throws what speaks against it. */
export async function enterChange(
  leader: Leader,
  vm: VmRecord,
  { change, user }: { readonly change: Changes; readonly user: string },
): Promise<boolean> {
  const { spec } = vm
  if (spec.lifecycle !== 'live') throw new DialtoneError('wrong-state', `${spec.name} is ${spec.lifecycle}`)
  const { recovery = spec.recovery, probe = spec.probe, drillable = spec.drillable } = change
  const sized = sizeOf(leader, vm, change)
  const next: VmSpec = { ...sized, recovery, probe, drillable, limits: limitsAfter(spec.limits, change.limits) }
  if (change.recovery !== undefined || change.probe !== undefined) refuseUnfit(leader, vm, next)
  const turn = sized === spec ? { conditions: [], writes: [] } : oneAdmission(leader, spec.id)
  const event = leader.events.write({
    kind: 'vm.changed',
    subject: spec.name,
    message: `${user} changed ${wordsOf(change)}`,
    vmId: spec.id,
    user,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, keys.vm(spec.id)), ...turn.conditions],
    writes: [put(keys.vm(spec.id), next), event, ...turn.writes],
  })
  return result.kind === 'committed'
}

export async function warmVm(context: ApiContext, reference: string, caller: Caller) {
  const { leader, tasks } = context.engine
  const vm = findVm(context, reference)
  const { spec } = vm
  if (spec.recovery.mode === 'boot')
    throw new DialtoneError(
      'wrong-state',
      `${spec.name} recovers by booting: let it recover from memory first, with dialtone vm set ${spec.name} --recover warm`,
    )
  refuse(refuseCapture(leader.index.state(), vm))
  const { task, write } = tasks.prepare({
    kind: 'vm.warm',
    subject: spec.name,
    user: caller.name,
    vmId: spec.id,
    journal: { vmId: spec.id },
  })
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return { vm: viewOfVm(context, spec.id), task: viewOfTask(task) }
}

/** The very same spec where its size is not to change. */
function sizeOf({ index }: Leader, vm: VmRecord, { cpus, memoryMiB, force }: Changes): VmSpec {
  if (cpus === undefined && memoryMiB === undefined) return vm.spec
  const state = index.state()
  const busy = refuseChange(state, vm)
  if (busy !== undefined) throw new DialtoneError(busy.code, busy.message)
  const verdict = admitSize(state, vm, { cpus, memoryMiB, isForced: force })
  if (verdict.kind === 'refused') throw new DialtoneError(verdict.code, verdict.message, { detail: verdict.detail })
  return verdict.spec
}

function limitsAfter(before: Limits, changes: Changes['limits'] = {}): Limits {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined)
  return { ...before, ...Object.fromEntries(given) }
}

function wordsOf({ cpus, memoryMiB, force: _force, ...rest }: Changes): string {
  const sizes = [
    cpus === undefined ? [] : [`cpus to ${cpus}`],
    memoryMiB === undefined ? [] : [`memory to ${memoryMiB} MiB`],
  ]
  return [...sizes.flat(), ...Object.keys(rest)].join(', ')
}

function refuseUnfit({ index }: Leader, { spec }: VmRecord, next: VmSpec): void {
  if (next.recovery.mode === 'boot') return
  const unfit = refuseMemoryImages(spec.guest)
  if (unfit !== undefined) throw new DialtoneError('image-unfit', `${spec.name} can't recover from memory: ${unfit}`)
  const template = index.state().templates.get(spec.templateId)
  if (template?.canResume === false)
    throw new DialtoneError(
      'image-unfit',
      `${template.name} can't be resumed from memory: no agent in it could give a resumed machine new random numbers`,
    )
  if (next.probe === null)
    throw new DialtoneError(
      'invalid-input',
      `${spec.name} needs a probe that says when it serves, before it can recover from memory`,
    )
  if (next.recovery.mode === 'checkpoint' && spec.disks.some(({ format }) => format !== 'qcow2'))
    throw new DialtoneError('invalid-input', 'checkpoints take all disks, and only qcow2 disks can be part of one')
}
