/** Changes of a VM that runs on: how it recovers, what its service is; and a new memory image on request. */
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { VmView } from '../../model/api/views.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Caller } from '../../transport/caller.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from './api-context.ts'

type Changes = {
  readonly recovery?: VmSpec['recovery'] | undefined
  readonly probe?: VmSpec['probe'] | undefined
  readonly drillable?: boolean | undefined
}

export async function changeVm(
  context: ApiContext,
  reference: string,
  { change, caller }: { readonly change: Changes; readonly caller: Caller },
): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const vm = findVm(context, reference)
    const { spec } = vm
    if (spec.lifecycle !== 'live') throw new DialtoneError('wrong-state', `${spec.name} is ${spec.lifecycle}`)
    const { recovery = spec.recovery, probe = spec.probe, drillable = spec.drillable } = change
    const next: VmSpec = { ...spec, recovery, probe, drillable }
    refuseUnfit(context, vm, next)
    const event = leader.events.write({
      kind: 'vm.changed',
      subject: spec.name,
      message: `${caller.name} changed ${Object.keys(change).join(', ')}`,
      vmId: spec.id,
      user: caller.name,
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(spec.id))],
      writes: [put(keys.vm(spec.id), next), event],
    })
    return result.kind === 'committed' ? viewOfVm(context, spec.id) : undefined
  })
}

export async function warmVm(context: ApiContext, reference: string, caller: Caller) {
  const { leader, tasks } = context.engine
  const { spec, status } = findVm(context, reference)
  if (spec.recovery.mode === 'boot')
    throw new DialtoneError(
      'wrong-state',
      `${spec.name} recovers by booting: let it recover from memory first, with dialtone vm set ${spec.name} --recover warm`,
    )
  if (status?.state !== 'running')
    throw new DialtoneError('wrong-state', `${spec.name} is ${status?.state ?? 'stopped'}; warm needs it running`)
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

function refuseUnfit({ engine }: ApiContext, { spec }: VmRecord, next: VmSpec): void {
  if (next.recovery.mode === 'boot') return
  const template = engine.leader.index.state().templates.get(spec.templateId)
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
