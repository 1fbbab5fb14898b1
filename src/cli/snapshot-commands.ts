/** `dialtone vm snapshot …`: points of a VM that its owner can return to. */
import { type Command, Option } from 'commander'
import { formatAge, formatInstant } from '../model/age.ts'
import type { SnapshotList, SnapshotView } from '../model/api/snapshot-routes.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { secondsOption, wholeNumberOption } from './option-parsers.ts'
import { type Listing, writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'
import { drawTree, type TreeLine } from './snapshot-tree.ts'

type CreateOptions = {
  readonly set?: boolean
  readonly diskOnly?: boolean
  readonly memory?: boolean
  readonly note?: string
  readonly freeze?: 'if-able' | 'required' | 'never'
  readonly protect?: boolean
  readonly detach?: boolean
}
type RevertOptions = { readonly keep?: string; readonly yes?: boolean; readonly detach?: boolean }
type DeleteOptions = { readonly yes?: boolean; readonly detach?: boolean }
type ScheduleOptions = {
  readonly every?: number
  readonly keep?: number
  readonly memory?: boolean
  readonly off?: boolean
}

const detachOption = ['--detach', 'return at once and let the task go on'] as const

/** Adds the verbs of snapshots to the command `vm`. */
export function addSnapshotCommands(vm: Command): void {
  const snapshot = vm.command('snapshot').description('points of a VM that it can return to').helpCommand(false)
  addCreate(snapshot)
  snapshot
    .command('list')
    .description('draw the tree of its snapshots')
    .argument('<vm>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const list = await api.call('listSnapshots', { params: { vm: name } })
        if (screen.json) return writeJson(screen, list)
        writeListing(screen, drawTree(list.snapshots), treeListing(list, screen.nowMs()))
        if (list.schedule !== null) screen.write(`${scheduleSentence(list)}\n`)
      }),
    )
  snapshot
    .command('show')
    .description('show everything about a snapshot, and what a return to it would do')
    .argument('<vm>')
    .argument('<snapshot>')
    .action((vmName: string, name: string, ...[, command]: [object, Command]) =>
      withSession(command, (session) => showSnapshot(session, vmName, name)),
    )
  addEndings(snapshot)
  snapshot
    .command('protect')
    .description('keep a snapshot from being deleted')
    .argument('<vm>')
    .argument('<snapshot>')
    .option('--off', 'take the protection back')
    .action((vmName: string, name: string, ...[options, command]: [{ readonly off?: boolean }, Command]) =>
      withSession(command, async ({ api, screen }) => {
        const params = { vm: vmName, snapshot: name }
        const view = await api.call('changeSnapshot', { params, body: { protected: options.off !== true } })
        if (screen.json) return writeJson(screen, view)
        screen.write(`${printableText(`${view.name} is ${view.isProtected ? '' : 'no longer '}protected.`)}\n`)
      }),
    )
  snapshot
    .command('schedule')
    .description('take snapshots by themselves and keep the newest; without options: say how it is')
    .argument('<vm>')
    .option('--every <time>', 'the pace: 1h, 30m', secondsOption)
    .option('--keep <number>', 'so many are kept (24)', wholeNumberOption)
    .option('--memory', 'with memory, while it runs')
    .option('--off', 'take no more; those that were taken stay')
    .action((name: string, options: ScheduleOptions, command: Command) =>
      withSession(command, (session) => schedule(session, name, options)),
    )
}

function addCreate(snapshot: Command): void {
  snapshot
    .command('create')
    .description('take a snapshot while it runs: with its memory, if it has one that can be resumed')
    .argument('<vm>', 'with --set: several, separated by commas')
    .argument('<name>')
    .option('--set', 'of several machines at one instant')
    .option('--disk-only', 'only what is on its disks')
    .option('--memory', 'with memory, or not at all')
    .option('--note <text>', 'what it is good for')
    .addOption(
      new Option('--freeze <when>', 'have the guest put its file systems in order first (disks only)').choices([
        'if-able',
        'required',
        'never',
      ]),
    )
    .option('--protect', 'keep it from being deleted')
    .option(...detachOption)
    .action((vmName: string, name: string, ...[options, command]: [CreateOptions, Command]) =>
      withSession(command, (session) => createSnapshot(session, { vmName, name, options })),
    )
}

function addEndings(snapshot: Command): void {
  snapshot
    .command('revert')
    .description('return to a snapshot')
    .argument('<vm>')
    .argument('<snapshot>')
    .option('--keep <name>', 'keep the present as a snapshot of this name')
    .option('--yes', 'do not ask')
    .option(...detachOption)
    .action((vmName: string, name: string, ...[options, command]: [RevertOptions, Command]) =>
      withSession(command, (session) => revert(session, { vmName, name, options })),
    )
  snapshot
    .command('delete')
    .description('let a snapshot go; what nothing needs any more is merged while it runs')
    .argument('<vm>')
    .argument('<snapshot>')
    .option('--yes', 'do not ask')
    .option(...detachOption)
    .action((vmName: string, name: string, ...[options, command]: [DeleteOptions, Command]) =>
      withSession(command, (session) => deleteSnapshot(session, { vmName, name, options })),
    )
}

async function createSnapshot(
  session: Session,
  { vmName, name, options }: { readonly vmName: string; readonly name: string; readonly options: CreateOptions },
): Promise<void> {
  const { api, screen } = session
  const kind: SnapshotView['kind'] | undefined =
    options.diskOnly === true ? 'disk' : options.memory === true ? 'memory' : undefined
  const body = {
    ...{ name, note: options.note ?? '', protected: options.protect ?? false, freeze: options.freeze ?? 'if-able' },
    ...(kind === undefined ? {} : { kind }),
  }
  const begun =
    options.set === true
      ? await api.call('createSnapshotSet', { body: { ...body, vms: vmName.split(',') } })
      : await api.call('createSnapshot', { params: { vm: vmName }, body })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  screen.write(`${printableText(task.message)}.\n`)
}

async function showSnapshot({ api, screen }: Session, vm: string, name: string): Promise<void> {
  const view = await api.call('getSnapshot', { params: { vm, snapshot: name } })
  if (screen.json) return writeJson(screen, view)
  const { machine, differences } = view
  writeDetails(screen, [
    ['Name', view.name],
    ['Id', view.id],
    ['Of', view.vmName],
    ['Note', view.note],
    ['Taken', formatInstant(view.takenAt, screen.nowMs())],
    ['Holds', holdings[view.consistency]],
    ['Stood still', `${Math.round(view.pauseMs)} ms`],
    ['Parent', view.parentName ?? '-'],
    ['Machine', `${machine.cpus} CPUs, ${machine.memoryMiB} MiB, template ${machine.templateVersion}`],
    ['Disks', view.disks.map(({ volumeId, layerId }) => `${volumeId} ${layerId ?? 'first layer'}`).join(', ')],
    ['Origin', view.origin],
    ['Protected', view.isProtected ? 'yes' : 'no'],
    ['A return', differences.length === 0 ? 'brings back all of it' : differences.join('; ')],
  ])
}

const holdings: Readonly<Record<SnapshotView['consistency'], string>> = {
  memory: 'memory and disks of one instant',
  'guest-frozen': 'disks, file systems in order',
  crash: 'disks, as after a power cut',
  stopped: 'disks, while it was off',
}

async function revert(
  session: Session,
  { vmName, name, options }: { readonly vmName: string; readonly name: string; readonly options: RevertOptions },
): Promise<void> {
  const { api, screen } = session
  const view = await api.call('getSnapshot', { params: { vm: vmName, snapshot: name } })
  const present = options.keep === undefined ? 'is given up' : `is kept as the snapshot ${options.keep}`
  const warning = [
    `This returns ${view.vmName} to ${view.name}, of ${formatAge(view.takenAt, screen.nowMs())} ago. What happened since ${present}.`,
    ...(options.keep === undefined ? ['Keep it with --keep NAME.'] : []),
    ...view.differences.map((sentence) => `Mind: ${sentence}.`),
  ]
  await confirmByName(screen, { warning, name: view.vmName, isGiven: options.yes === true })
  const body = { snapshot: view.id, ...(options.keep === undefined ? {} : { keepAs: options.keep }) }
  const begun = await api.call('revertVm', { params: { vm: view.vmId }, body })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  screen.write(`${printableText(`${view.vmName}: ${task.message}`)}.\n`)
}

async function deleteSnapshot(
  session: Session,
  { vmName, name, options }: { readonly vmName: string; readonly name: string; readonly options: DeleteOptions },
): Promise<void> {
  const { api, screen } = session
  const view = await api.call('getSnapshot', { params: { vm: vmName, snapshot: name } })
  const warning = [`This lets ${view.name} of ${view.vmName} go: nobody can return to it any more.`]
  await confirmByName(screen, { warning, name: view.name, isGiven: options.yes === true })
  const begun = await api.call('deleteSnapshot', { params: { vm: view.vmId, snapshot: view.id } })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  screen.write(`${printableText(view.name)} is gone.\n`)
}

async function schedule({ api, screen }: Session, vm: string, options: ScheduleOptions): Promise<void> {
  const params = { vm }
  const { every, keep = 24, memory } = options
  const body = { everySeconds: every ?? 0, keep, kind: memory === true ? 'memory' : 'disk' } as const
  const list =
    options.off === true
      ? await api.call('dropSnapshotSchedule', { params })
      : every === undefined
        ? await api.call('listSnapshots', { params })
        : await api.call('setSnapshotSchedule', { params, body })
  if (screen.json) return writeJson(screen, list.schedule)
  screen.write(`${scheduleSentence(list)}\n`)
}

function scheduleSentence({ vmName, schedule: set }: SnapshotList): string {
  if (set === null) return printableText(`${vmName} has no schedule: set one with --every.`)
  const what = set.kind === 'memory' ? 'with memory' : 'of its disks'
  return printableText(`${vmName}: a snapshot ${what} every ${set.everySeconds} s, the newest ${set.keep} are kept.`)
}

function treeListing({ vmName }: SnapshotList, nowMs: number): Listing<TreeLine> {
  const of = (cell: (snapshot: SnapshotView) => string) => (line: TreeLine) =>
    line.snapshot === undefined ? '' : cell(line.snapshot)
  return {
    none: `${vmName} has no snapshots: take one with dialtone vm snapshot create ${vmName} NAME.`,
    columns: [
      ['SNAPSHOT', ({ drawn }) => drawn],
      ['TAKEN', of(({ takenAt }) => `${formatAge(takenAt, nowMs)} ago`)],
      ['HOLDS', of(({ consistency }) => holdings[consistency])],
      ['BY', of(({ origin }) => origin)],
      ['PROTECTED', of(({ isProtected }) => (isProtected ? 'yes' : ''))],
      ['NOTE', of(({ note }) => note)],
    ],
  }
}
