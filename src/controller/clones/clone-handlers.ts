/** Machines from memory over the API: clones of a running one, and of a template's warm image. */
import { refuseMemoryClone } from '../../control/snapshots/admit-snapshot.ts'
import { commitAndSee } from '../../engine/leader.ts'
import type { cloneRoutes } from '../../model/api/clone-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { CloneOrigin } from '../../model/machine-order.ts'
import { nicsOf } from '../../model/network.ts'
import type { VmSpec } from '../../model/vm.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask } from '../handlers/api-context.ts'
import { refuse } from '../handlers/refuse-snapshot.ts'
import { requireTemplate } from '../templates/template-handlers.ts'
import { beginDiskClone } from './begin-disk-clone.ts'

type CloneBody = Parameters<Handlers<typeof cloneRoutes>['cloneVm']>[0]['body']

export function cloneHandlers(context: ApiContext): Handlers<typeof cloneRoutes> {
  return {
    cloneVm({ params, body }, caller) {
      const vm = findVm(context, params.vm)
      refuse(refuseMemoryClone(context.engine.leader.index.state(), vm))
      return beginClones(context, vm.spec, { body, caller, origin: null })
    },
    cloneDisks: ({ params, body }, caller) => beginDiskClone(context, params.vm, { body, caller }),
    cloneTemplate({ params, body }, caller) {
      const template = requireTemplate(context, params.template)
      const { warm } = template
      const holder = warm === null ? undefined : context.engine.leader.index.state().vms.get(warm.vmId)?.spec
      if (warm === null || holder === undefined)
        throw new DialtoneError(
          'image-unfit',
          `${template.name} has no warm image: make one with dialtone template warm ${template.name}`,
        )
      const { imageId, volumeId, storageId } = warm
      return beginClones(context, holder, { body, caller, origin: { imageId, volumeId, storageId } })
    },
    async warmTemplate({ params, body }, caller) {
      const template = requireTemplate(context, params.template)
      if (!template.canResume)
        throw new DialtoneError(
          'image-unfit',
          `${template.name} can't be resumed from memory: no agent in it could give a clone random numbers of its own`,
        )
      const { engine } = context
      const underWay = [...engine.leader.index.state().tasks.values()].find(
        (task) => task.kind === 'template.warm' && task.subject === template.name && task.endedAt === null,
      )
      if (underWay !== undefined)
        throw new DialtoneError('in-use', `${template.name} is being warmed already (${underWay.id})`)
      const { task, write } = engine.tasks.prepare({
        kind: 'template.warm',
        subject: template.name,
        user: caller.name,
        journal: {
          templateId: template.id,
          name: nameFor(context, `${template.name}-warm`),
          cpus: body.cpus,
          memoryMiB: body.memoryMiB,
          user: caller.name,
          vmId: null,
          origin: null,
        },
      })
      await commitAndSee(engine.leader, { conditions: [], writes: [write] })
      engine.tasks.begin(task.id)
      return { task: viewOfTask(task) }
    },
  }
}

async function beginClones(
  context: ApiContext,
  source: VmSpec,
  { body, caller, origin }: { readonly body: CloneBody; readonly caller: Caller; readonly origin: CloneOrigin | null },
) {
  const { engine } = context
  const cards = nicsOf(source).length
  if (cards > 1)
    throw new DialtoneError(
      'image-unfit',
      `${source.name} has ${cards} network cards, and the agent in a clone gives new addresses to one only: stop it and remove the others (dialtone nic remove), or make a machine with dialtone vm create`,
    )
  const names = body.names ?? freeNames(context, body.name ?? `${source.name}-clone`, body.count)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new DialtoneError('invalid-input', `two clones are to be named ${twice}`)
  const taken = names.find((name) => isTaken(context, name))
  if (taken !== undefined) throw new DialtoneError('name-taken', `a VM named ${taken} exists`)
  const wish = {
    names,
    ha: body.ha ?? source.ha,
    recovery: body.recovery ?? source.recovery,
    drillable: body.drillable,
  }
  const { task, write } = engine.tasks.prepare({
    kind: 'vm.clone',
    subject: source.name,
    user: caller.name,
    journal: { vmId: source.id, wish, user: caller.name, origin },
  })
  await commitAndSee(engine.leader, { conditions: [], writes: [write] })
  engine.tasks.begin(task.id)
  return { names, task: viewOfTask(task) }
}

function freeNames(context: ApiContext, stem: string, count: number): string[] {
  if (count === 1 && !isTaken(context, stem)) return [stem]
  const names: string[] = []
  for (let index = 1; names.length < count; index += 1) {
    const name = `${stem}-${index}`
    if (!isTaken(context, name)) names.push(name)
  }
  return names
}

function nameFor(context: ApiContext, stem: string): string {
  return freeNames(context, stem, 1)[0] ?? stem
}

function isTaken({ engine }: ApiContext, name: string): boolean {
  return [...engine.leader.index.state().vms.values()].some(({ spec }) => spec.name === name)
}
