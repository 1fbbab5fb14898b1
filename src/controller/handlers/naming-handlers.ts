/** Names, tags and notes of VMs. A name and its claim change in one transaction: at every moment one VM has it. */
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { namingRoutes } from '../../model/api/naming-routes.ts'
import type { VmView } from '../../model/api/views.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { changedTags, maximumTags } from '../../model/tags.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfVm } from './api-context.ts'

export function namingHandlers(context: ApiContext): Handlers<typeof namingRoutes> {
  return {
    nameVm: ({ params, body }, caller) => nameVm(context, params.vm, { name: body.name, caller }),
    tagVm: ({ params, body }, caller) =>
      changeWords(context, { reference: params.vm, caller }, ({ name, tags: before }) => {
        const tags = changedTags(before, body)
        if (tags.length > maximumTags)
          throw new DialtoneError(
            'invalid-input',
            `${name} would have ${tags.length} tags: ${maximumTags} are the most`,
          )
        return { change: { tags }, message: `its tags are ${tags.join(', ') || 'none'}` }
      }),
    noteVm: ({ params, body: { note } }, caller) =>
      changeWords(context, { reference: params.vm, caller }, () => ({
        change: { note },
        message: note === '' ? 'its note was taken away' : 'it has another note',
      })),
  }
}

async function nameVm(
  context: ApiContext,
  reference: string,
  { name, caller }: { readonly name: string; readonly caller: Caller },
): Promise<VmView> {
  const { leader } = context.engine
  const vmId = findVm(context, reference).spec.id
  return untilCommitted(reference, async () => {
    const vm = findVm(context, vmId)
    const { spec } = vm
    if (spec.name === name) return viewOfVm(context, vmId)
    refuseName(context, vm, name)
    const [before, after] = [keys.nameClaim('vm', spec.name), keys.nameClaim('vm', name)]
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(vmId)), { key: after, modRevision: 0 }],
      writes: [
        put(keys.vm(vmId), { ...spec, name }),
        { kind: 'delete', key: before },
        put(after, vmId),
        leader.events.write({
          kind: 'vm.renamed',
          subject: name,
          message: `${caller.name} renamed it: it was ${spec.name}`,
          vmId,
          user: caller.name,
        }),
      ],
    })
    return result.kind === 'committed' ? viewOfVm(context, vmId) : undefined
  })
}

function refuseName({ engine }: ApiContext, { spec }: VmRecord, name: string): void {
  const { vms, tasks } = engine.leader.index.state()
  if (spec.lifecycle !== 'live') throw new DialtoneError('wrong-state', `${spec.name} is ${spec.lifecycle}`)
  if ([...vms.values()].some((other) => other.spec.name === name))
    throw new DialtoneError('name-taken', `a VM named ${name} exists`)
  // Tasks speak of it by its name, and some find what they made by it.
  const underWay = [...tasks.values()].find(
    (task) => task.endedAt === null && (task.vmId === spec.id || task.subject === spec.name),
  )
  if (underWay !== undefined)
    throw new DialtoneError(
      'in-use',
      `${spec.name} keeps its name while ${underWay.kind} is under way: wait for it with dialtone task watch ${underWay.id}`,
    )
}

function changeWords(
  context: ApiContext,
  { reference, caller }: { readonly reference: string; readonly caller: Caller },
  how: (spec: VmSpec) => { readonly change: Partial<Pick<VmSpec, 'tags' | 'note'>>; readonly message: string },
): Promise<VmView> {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const { spec } = findVm(context, reference)
    const { change, message } = how(spec)
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(spec.id))],
      writes: [
        put(keys.vm(spec.id), { ...spec, ...change }),
        leader.events.write({ kind: 'vm.noted', subject: spec.name, message, vmId: spec.id, user: caller.name }),
      ],
    })
    return result.kind === 'committed' ? viewOfVm(context, spec.id) : undefined
  })
}
