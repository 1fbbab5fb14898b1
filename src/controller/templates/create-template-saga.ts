/**
 * Makes a version of a template of a machine's root disk: the disk is kept for an instant by a snapshot, unless one is named; a volume that
 * only this task knows begins with its layers, and is made to stand alone and brought here by the storage's host. The machine goes on as soon
 * as its layers are linked. In the end there is the version, or nothing of it.
 */
import { z } from 'zod'
import { refuseClone } from '../../control/snapshots/admit-snapshot.ts'
import type { TemplateInstant } from '../../control/templates/describe-template.ts'
import type { AgentPort } from '../../engine/agent-port.ts'
import { commitAndSee, type Leader } from '../../engine/leader.ts'
import { requireVm } from '../../engine/snapshots/closed-disks.ts'
import { closeOperation, openOperation } from '../../engine/snapshots/vm-operations.ts'
import { defineSaga, type RunnableSaga, type StepContext } from '../../engine/tasks/saga.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import { linkLayers, untilAlone } from '../../engine/vms/clone-disks.ts'
import { authorityOf, hostForStorage } from '../../engine/vms/host-for-storage.ts'
import { discardAfter } from '../../engine/volumes/discard-volume.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostSpec } from '../../model/host.ts'
import {
  layerIdSchema,
  nameSchema,
  type StorageId,
  snapshotIdSchema,
  storageIdSchema,
  type VolumeId,
  vmIdSchema,
  volumeIdSchema,
} from '../../model/ids.ts'
import { type Consistency, snapshotSchema } from '../../model/snapshots/snapshot.ts'
import { templatePortsSchema, templateVersionSchema } from '../../model/template-manifest.ts'
import type { Download } from '../../transport/contract-client.ts'
import type { AgentConnections } from '../agent-connections.ts'
import { forgetInstant, keepInstant } from '../clones/instant.ts'
import type { NewVersions } from './new-versions.ts'

const instantSchema = snapshotSchema.pick({ takenAt: true, consistency: true, machine: true })

const journalSchema = z.object({
  vmId: vmIdSchema,
  snapshotId: snapshotIdSchema,
  isOwnSnapshot: z.boolean(),
  /** Null: the disk as it is now. */
  snapshotName: nameSchema.nullable(),
  parameters: z.object({
    name: nameSchema,
    version: templateVersionSchema,
    note: z.string(),
    memoryMiB: z.number().int().optional(),
    cpus: z.number().int().optional(),
    ports: templatePortsSchema.optional(),
  }),
  /** What is made to stand alone. */
  volumeId: volumeIdSchema,
  overlay: layerIdSchema,
  /** Where it is, and what it is of, as soon as it is. */
  storageId: storageIdSchema.optional(),
  instant: instantSchema.optional(),
  summary: z.string().optional(),
})
export type CreateTemplateJournal = z.infer<typeof journalSchema>
type Context = StepContext<CreateTemplateJournal>

export type TemplateSource = {
  readonly agents: AgentPort
  /** The file of a volume that stands alone. */
  readVolume(
    host: HostSpec,
    volume: { readonly volumeId: VolumeId; readonly storageId: StorageId },
    signal: AbortSignal,
  ): Promise<Download>
  epochFloor(): number
}

/** Over the lines to their agents. */
export function readVolumes({ client }: Pick<AgentConnections, 'client'>): TemplateSource['readVolume'] {
  return (host, { volumeId, storageId }, signal) =>
    client(host).download(
      'readVolume',
      { params: { volumeId }, query: { storageId } },
      { signal, timeoutMs: openTimeoutMs },
    )
}

const openTimeoutMs = 30_000
const longestMs = 6 * 3_600_000

export function createTemplateSaga(
  leader: Leader,
  tasks: () => TaskRunner,
  { source, versions }: { readonly source: TemplateSource; readonly versions: NewVersions },
): RunnableSaga {
  const { agents } = source
  return defineSaga<CreateTemplateJournal>({
    kind: 'template.create',
    journalSchema,
    pointOfNoReturn: 'enter',
    steps: [
      {
        name: 'keep',
        message: 'keeps its disks as they are now',
        timeoutMs: 600_000,
        run: (context) =>
          keepInstant(leader, tasks(), { ...context, what: `what the template ${context.task.subject} is made of` }),
        undo: (context) => forgetInstant(leader, tasks(), context),
      },
      {
        name: 'hold',
        message: 'looks whether its disk can be copied',
        timeoutMs: 120_000,
        run: (context) => hold(leader, source, context),
        undo: ({ journal, task }) => closeOperation(leader, journal.vmId, task.id),
      },
      {
        name: 'link',
        message: 'takes hold of its layers',
        timeoutMs: 600_000,
        run: (context) => link(leader, agents, context),
      },
      {
        name: 'let-go',
        message: 'lets the machine’s disks go on',
        timeoutMs: 600_000,
        run: async (context) => {
          await closeOperation(leader, context.journal.vmId, context.task.id)
          await forgetInstant(leader, tasks(), context)
        },
      },
      {
        name: 'flatten',
        message: 'copies the disk',
        timeoutMs: longestMs,
        run: (context) => flatten(leader, agents, context),
      },
      {
        name: 'bring',
        attempts: 3,
        message: 'brings it here',
        timeoutMs: longestMs,
        run: (context) => bring(leader, source, { ...context, versions }),
        undo: ({ journal }) => versions.remove(journal.parameters.version),
      },
      {
        name: 'enter',
        isRepeated: true,
        message: 'enters it',
        timeoutMs: 30_000,
        run: async ({ journal }) => {
          await versions.enter(leader, journal.parameters.version)
          return { summary: summaryOf(journal) }
        },
      },
    ],
  })
}

async function hold(leader: Leader, { epochFloor }: TemplateSource, { journal, task }: Context): Promise<void> {
  const refuse = (vm: VmRecord) => refuseClone(leader.index.state(), vm)
  await openOperation(leader, { vmId: journal.vmId, taskId: task.id, kind: 'clone', epochFloor, refuse })
}

async function link(leader: Leader, agents: AgentPort, context: Context): Promise<Partial<CreateTemplateJournal>> {
  const { journal, task, signal, progress } = context
  const { vmId, snapshotId, volumeId, overlay } = journal
  const snapshot = leader.index.state().snapshots.get(snapshotId)
  const from = snapshot?.disks[0]
  if (snapshot === undefined || from === undefined)
    throw new DialtoneError('not-found', 'the snapshot that it is made from was deleted')
  const { storageId } = from
  const reason = `what the template ${task.subject} is made of`
  await commitAndSee(leader, {
    conditions: [],
    writes: [discardAfter(leader, { volumeId, storageId }, { id: task.id, reason })],
  })
  const { number } = requireVm(leader, vmId).spec
  const links = [{ storageId, fromVolumeId: from.volumeId, layerId: from.layerId, volumeId, overlay }]
  const tell = (fraction: number, message = 'takes hold of its layers') => progress(fraction, message)
  await linkLayers(leader, agents, { vmId, order: { number, links, snapshotId }, signal, progress: tell })
  const { takenAt, consistency, machine } = snapshot
  return { storageId, instant: { takenAt, consistency, machine } }
}

async function flatten(leader: Leader, agents: AgentPort, { journal, signal, progress }: Context): Promise<void> {
  const place = { volumeId: journal.volumeId, storageId: requireKnown(journal.storageId) }
  const tell = (fraction: number, message = 'copies the disk') => progress(fraction, message)
  await untilAlone(leader, agents, { place, signal, progress: tell })
}

/** From any host that has the storage. */
async function bring(
  leader: Leader,
  source: TemplateSource,
  { journal, signal, progress, versions }: Context & { readonly versions: NewVersions },
): Promise<void> {
  const { volumeId, parameters } = journal
  const storageId = requireKnown(journal.storageId)
  const vm = requireVm(leader, journal.vmId).spec
  const base = leader.index.state().templates.get(vm.templateId)
  if (base === undefined) throw new DialtoneError('template-not-built', `the template of ${vm.name} is gone`)
  const instant: TemplateInstant = { ...requireKnown(journal.instant), snapshotName: journal.snapshotName }
  await versions.add({
    ...{ vm, parameters, instant, baseDirectory: base.directory, signal },
    builtAt: leader.clock.wallTime().toISOString(),
    open: () => {
      const host = hostForStorage(leader, storageId, undefined)
      authorityOf(leader, host)
      return source.readVolume(host.spec, { volumeId, storageId }, signal)
    },
    onProgress: (fraction) => progress(fraction, 'brings it here'),
  })
}

const consistencyWords: Readonly<Record<Consistency, string>> = {
  crash: 'as after a power cut: no agent in it could put its file systems in order',
  'guest-frozen': 'with its file systems in order',
  stopped: 'while it was off',
  memory: 'as after a power cut: it is the disk of a snapshot with memory',
}

function summaryOf({ parameters, instant }: CreateTemplateJournal): string {
  const { machine, takenAt, consistency } = requireKnown(instant)
  return `${parameters.version} is the disk of ${machine.name} of ${takenAt}, ${consistencyWords[consistency]}`
}

function requireKnown<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new DialtoneError('internal', 'its layers were not linked')
  return value
}
