/** Templates from machines over the API: what can't be made is refused at once, with the reason; a task does the rest. */
import { readdir, rm } from 'node:fs/promises'
import { refuseMovedDisks } from '../../control/snapshots/admit-snapshot.ts'
import {
  admitTemplate,
  findTemplate,
  machinesOf,
  refuseTemplateDeletion,
  versionsOf,
} from '../../control/templates/admit-template.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { TemplateDetails, templateRoutes } from '../../model/api/template-routes.ts'
import type { TemplateSpec } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { layerIdSchema, makeId, snapshotIdSchema, volumeIdSchema } from '../../model/ids.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask } from '../handlers/api-context.ts'
import { findSnapshot } from '../handlers/find-snapshot.ts'
import { refuse } from '../handlers/refuse-snapshot.ts'
import type { ImagePlaces } from '../images/image-places.ts'
import type { CreateTemplateJournal } from './create-template-saga.ts'
import { deletedVersions } from './deleted-versions.ts'

type TemplateHandlers = Handlers<typeof templateRoutes>
type Body = Parameters<TemplateHandlers['createTemplate']>[0]['body']

export type TemplateContext = ApiContext & { readonly places: ImagePlaces }

export function templateHandlers(context: TemplateContext): TemplateHandlers {
  return {
    createTemplate: ({ body }, caller) => createTemplate(context, body, caller),
    getTemplate: ({ params }) => detailsOf(context, requireTemplate(context, params.template)),
    deleteTemplate: ({ params }, caller) => deleteTemplate(context, params.template, caller),
  }
}

/** By version or id; by name: its newest version. */
export function requireTemplate({ engine }: ApiContext, reference: string): TemplateSpec {
  const found = findTemplate(engine.leader.index.state(), reference)
  if (found === undefined) throw new DialtoneError('template-not-built', `there is no built template ${reference}`)
  return found
}

async function createTemplate(context: TemplateContext, body: Body, caller: Caller) {
  const { leader, tasks } = context.engine
  const cluster = leader.index.state()
  const vm = findVm(context, body.vm)
  const { spec } = vm
  const named = body.snapshot === undefined ? undefined : findSnapshot(cluster, vm, body.snapshot)
  const snapshotId = named?.id ?? makeId('snap', snapshotIdSchema, leader.randomBytes(8))
  const snapshotName = named === undefined ? `for-${snapshotId.slice('snap-'.length)}` : undefined
  // A folder that lies there may be another cluster's on this machine.
  const lying = await readdir(context.places.templates).catch(() => [])
  const taken = [...lying, ...(await deletedVersions(leader))]
  const admission = admitTemplate(cluster, vm, { wish: body, snapshotName, taken })
  if (admission.kind === 'refused') throw new DialtoneError(admission.code, admission.message)
  refuse(named === undefined ? undefined : refuseMovedDisks(cluster, vm, named))
  const { version } = admission
  refuseUnderWay(context, version)
  const { name, note, memoryMiB, cpus, ports } = body
  const journal: CreateTemplateJournal = {
    ...{ vmId: spec.id, snapshotId, isOwnSnapshot: named === undefined, snapshotName: named?.name ?? null },
    parameters: { name, version, note, memoryMiB, cpus, ports },
    volumeId: makeId('vol', volumeIdSchema, leader.randomBytes(8)),
    overlay: makeId('layer', layerIdSchema, leader.randomBytes(8)),
  }
  const { task, write } = tasks.prepare({
    kind: 'template.create',
    subject: version,
    user: caller.name,
    vmId: spec.id,
    journal,
  })
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return { version, task: viewOfTask(task) }
}

/** Two at once would work in the same folder. */
function refuseUnderWay({ engine }: ApiContext, version: string): void {
  const underWay = [...engine.leader.index.state().tasks.values()].find(
    ({ kind, subject, endedAt }) =>
      (kind === 'template.create' || kind === 'template.import') && subject === version && endedAt === null,
  )
  if (underWay !== undefined) throw new DialtoneError('in-use', `${version} is being made already (${underWay.id})`)
}

function detailsOf({ engine }: ApiContext, template: TemplateSpec): TemplateDetails {
  const cluster = engine.leader.index.state()
  const versions = versionsOf(cluster, template.name).map(({ version }) => version)
  return { ...template, versions, vmNames: [...machinesOf(cluster, template)] }
}

/** A machine that is entered at the same time demands that its template is still there, and changes its revision. */
async function deleteTemplate(context: ApiContext, reference: string, caller: Caller) {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const state = leader.index.state()
    const template = requireTemplate(context, reference)
    const { version, name } = template
    const versions = versionsOf(state, name)
    if (reference === name && versions.length > 1)
      throw new DialtoneError(
        'invalid-input',
        `${name} has ${versions.length} versions: say which one, of ${versions.map((one) => one.version).join(', ')}`,
      )
    const refusal = refuseTemplateDeletion(state, template)
    if (refusal !== undefined) throw new DialtoneError(refusal.code, refusal.message)
    const key = keys.template(template.id)
    const event = leader.events.write({
      kind: 'template.deleted',
      subject: name,
      message: `version ${version}, deleted by ${caller.name}`,
      user: caller.name,
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, key)],
      writes: [{ kind: 'delete', key }, put(keys.nameClaim('template-version', version), 'deleted'), event],
    })
    if (result.kind === 'conflict') return undefined
    // What a recipe builds is its own, and taken again by whoever asks for it.
    if (template.origin !== 'recipe') await rm(template.directory, { recursive: true, force: true })
    return {}
  })
}
