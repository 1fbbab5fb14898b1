/** Images from outside over the API: uploads, templates from disks, the library of discs, and the drives that they are put into. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { findIso } from '../../control/admit-guest.ts'
import { commitAndSee, put, unchanged, untilCommitted } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { imageRoutes } from '../../model/api/image-routes.ts'
import type { IsoView } from '../../model/api/views.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { isoIdSchema, makeId } from '../../model/ids.ts'
import type { IsoSpec } from '../../model/iso.ts'
import { blankTemplate, templateVersionSchema } from '../../model/template-manifest.ts'
import type { Caller } from '../../transport/caller.ts'
import type { Handlers } from '../../transport/mount-contract.ts'
import { type ApiContext, findVm, viewOfTask, viewOfVm } from '../handlers/api-context.ts'
import { whereItIs } from '../handlers/where-it-is.ts'
import { deletedVersions } from '../templates/deleted-versions.ts'
import type { ImagePlaces } from './image-places.ts'
import { isTemplate } from './import-template-saga.ts'
import { receiveUpload } from './uploads.ts'

type ImageHandlers = Handlers<typeof imageRoutes>
export type ImageContext = ApiContext & { readonly places: ImagePlaces }

export function imageHandlers(context: ImageContext): ImageHandlers {
  const { leader } = context.engine
  return {
    upload: ({ params, query }) => receiveUpload(context.places.uploads, params.upload, query.bytes),
    importTemplate: ({ body }, caller) => importTemplate(context, body, caller),
    listIsos: () => ({ isos: [...leader.index.state().isos.values()].map((iso) => viewOfIso(context, iso)) }),
    importIso: ({ body }, caller) => importIso(context, body, caller),
    deleteIso: ({ params }, caller) => deleteIso(context, params.iso, caller),
    changeDrive: ({ params, body }, caller) => changeDrive(context, { ...params, ...body, caller }),
  }
}

async function importTemplate(
  context: ImageContext,
  body: Parameters<ImageHandlers['importTemplate']>[0]['body'],
  caller: Caller,
) {
  const { leader } = context.engine
  const today = leader.clock.wallTime().toISOString().slice(0, 10)
  const version = templateVersionSchema.parse(`${body.name}-${body.version ?? today}`)
  const isKnown = [...leader.index.state().templates.values()].some((template) => template.version === version)
  if (isKnown || (await isTemplate(join(context.places.templates, version))))
    throw new DialtoneError(
      'name-taken',
      `there is a template of version ${version} already: give it another --version`,
    )
  if ((await deletedVersions(leader)).includes(version))
    throw new DialtoneError('name-taken', `a template of version ${version} was deleted: give it another --version`)
  if (body.name === blankTemplate)
    throw new DialtoneError('name-taken', `${blankTemplate} is the template of empty disks`)
  refuseSecond(context, 'template.import', version)
  return begin(context, {
    kind: 'template.import',
    subject: version,
    user: caller.name,
    journal: { wish: body, version },
  })
}

async function importIso(
  context: ImageContext,
  body: Parameters<ImageHandlers['importIso']>[0]['body'],
  caller: Caller,
) {
  const { leader } = context.engine
  if (findIso(leader.index.state(), body.name) !== undefined)
    throw new DialtoneError('name-taken', `a disc named ${body.name} exists`)
  refuseSecond(context, 'iso.import', body.name)
  const isoId = makeId('iso', isoIdSchema, leader.randomBytes(8))
  return begin(context, { kind: 'iso.import', subject: body.name, user: caller.name, journal: { wish: body, isoId } })
}

/** Two at once would work in the same folder, or for the same name. */
function refuseSecond({ engine }: ApiContext, kind: string, subject: string): void {
  const tasks = [...engine.leader.index.state().tasks.values()]
  const underWay = tasks.find((task) => task.kind === kind && task.subject === subject && task.endedAt === null)
  if (underWay !== undefined) throw new DialtoneError('in-use', `${subject} is being imported already (${underWay.id})`)
}

async function begin({ engine }: ApiContext, wish: Parameters<ApiContext['engine']['tasks']['prepare']>[0]) {
  const { task, write } = engine.tasks.prepare(wish)
  await commitAndSee(engine.leader, { conditions: [], writes: [write] })
  engine.tasks.begin(task.id)
  return { task: viewOfTask(task) }
}

/** A machine that is being made with it demands that it is still there, by its revision. */
async function deleteIso(context: ApiContext, reference: string, caller: Caller) {
  const { leader } = context.engine
  return untilCommitted(reference, async () => {
    const iso = requireIso(context, reference)
    const { vmNames } = viewOfIso(context, iso)
    if (vmNames.length > 0)
      throw new DialtoneError('in-use', `${iso.name} is in a drive of ${vmNames.join(', ')}: eject it there first`)
    const event = leader.events.write({
      kind: 'iso.deleted',
      subject: iso.name,
      message: `deleted by ${caller.name}`,
      user: caller.name,
    })
    const gone = [keys.iso(iso.id), keys.nameClaim('iso', iso.name)]
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.iso(iso.id))],
      writes: [...gone.map((key) => ({ kind: 'delete' as const, key })), event],
    })
    if (result.kind === 'conflict') return undefined
    await rm(iso.directory, { recursive: true, force: true })
    return {}
  })
}

type DriveChange = {
  readonly vm: string
  readonly drive: number
  readonly iso: string | null
  readonly force: boolean
  readonly caller: Caller
}

/** First in the drive of the machine that runs, whose guest may refuse; then for all its lives to come. */
async function changeDrive(context: ApiContext, change: DriveChange) {
  const { leader } = context.engine
  const iso = change.iso === null ? null : requireIso(context, change.iso)
  return untilCommitted(change.vm, async () => {
    const vm = findVm(context, change.vm)
    const { spec } = vm
    refuseWithoutDrives(vm)
    if (spec.cdroms[change.drive] !== (iso?.id ?? null))
      await changeWhereItRuns(context, vm, { ...change, isoId: iso?.id ?? null })
    const count = Math.max(change.drive + 1, spec.cdroms.length)
    const cdroms = Array.from({ length: count }, (_, drive) =>
      drive === change.drive ? (iso?.id ?? null) : (spec.cdroms[drive] ?? null),
    )
    const message =
      iso === null ? `drive ${change.drive} was emptied` : `${iso.name} was put into drive ${change.drive}`
    const event = leader.events.write({
      kind: 'vm.drive-changed',
      subject: spec.name,
      message,
      vmId: spec.id,
      user: change.caller.name,
    })
    const result = await commitAndSee(leader, {
      conditions: [unchanged(leader, keys.vm(spec.id)), ...(iso === null ? [] : [unchanged(leader, keys.iso(iso.id))])],
      writes: [
        put(keys.vm(spec.id), { ...spec, cdroms }),
        event,
        ...(iso === null ? [] : [put(keys.iso(iso.id), iso)]),
      ],
    })
    return result.kind === 'committed' ? viewOfVm(context, spec.id) : undefined
  })
}

function refuseWithoutDrives({ spec, migration }: VmRecord): void {
  if (spec.guest.boot === 'kernel')
    throw new DialtoneError('wrong-state', `${spec.name} is started with a kernel of its template, and has no drives`)
  if (spec.lifecycle !== 'live') throw new DialtoneError('wrong-state', `${spec.name} is ${spec.lifecycle}`)
  if (migration !== undefined)
    throw new DialtoneError('in-use', `${spec.name} is being moved: change its discs when it has arrived`)
}

async function changeWhereItRuns(
  context: ApiContext,
  vm: VmRecord,
  { drive, isoId, force }: DriveChange & { readonly isoId: IsoSpec['id'] | null },
): Promise<void> {
  const state = vm.status?.state ?? 'stopped'
  if (vm.placement === undefined || state === 'stopped') return
  const { host, authority, placement } = whereItIs(context, vm)
  await context.agents
    .client(host)
    .call(
      'changeDisc',
      { params: { vmId: vm.spec.id, drive }, body: { authority, epoch: placement.epoch, isoId, isForced: force } },
      { timeoutMs: 120_000 },
    )
}

function requireIso({ engine }: ApiContext, reference: string): IsoSpec {
  const iso = findIso(engine.leader.index.state(), reference)
  if (iso === undefined)
    throw new DialtoneError('not-found', `there is no disc ${reference}: dialtone iso list shows all`)
  return iso
}

function viewOfIso({ engine }: ApiContext, iso: IsoSpec): IsoView {
  const vms = [...engine.leader.index.state().vms.values()]
  return { ...iso, vmNames: vms.filter(({ spec }) => spec.cdroms.includes(iso.id)).map(({ spec }) => spec.name) }
}
