/** `dialtone vm disk …`: a VM's disks, while it runs or is stopped. */
import type { Command } from 'commander'
import type { TaskView, VmView } from '../model/api/views.ts'
import { formatSize } from '../model/byte-size.ts'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { choiceOption, sizeOption } from './option-parsers.ts'
import { tellPending } from './pending-lines.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type AttachOptions = {
  readonly size?: number
  readonly disk?: string
  readonly storage?: string
  readonly format?: 'qcow2' | 'raw'
  readonly detach?: boolean
}
type DetachOptions = { readonly delete?: boolean; readonly yes?: boolean; readonly detach?: boolean }
type Begun = { readonly vm: VmView; readonly task: TaskView }

const detachOption = ['--detach', 'return at once and let the task go on'] as const

export function addDiskCommands(vm: Command): void {
  const disk = vm.command('disk').description('the disks of a VM')
  disk
    .command('list')
    .description('list the disks of a VM')
    .argument('<vm>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, (session) => listDisks(session, name)),
    )
  disk
    .command('attach')
    .description('give it one more disk, or put one back that was taken out')
    .argument('<vm>')
    .option('--size <size>', 'of a new, empty disk, such as 10GiB', sizeOption)
    .option('--disk <disk>', 'one that it had: its number or its volume')
    .option('--storage <storage>', 'where the new one is; where its root disk is when left out')
    .option('--format <format>', 'qcow2 or raw', choiceOption(['qcow2', 'raw']))
    .option(...detachOption)
    .action((name: string, options: AttachOptions, command: Command) =>
      withSession(command, (session) => attachDisk(session, name, options)),
    )
  const resize = disk
    .command('resize')
    .description('make a disk larger; one that runs sees it at once')
    .argument('<vm>')
    .argument('<disk>', 'its number, 0 for the root disk, or its volume')
    .argument('<size>', 'the new size, such as 20GiB', sizeOption)
  resize.action((name: string, which: string, sizeMiB: number) =>
    withSession(resize, (session) => resizeDisk(session, name, { which, sizeMiB })),
  )
  const detach = disk
    .command('detach')
    .description('take a disk out; it stays the VM’s and can be put back')
    .argument('<vm>')
    .argument('<disk>', 'its number or its volume')
    .option('--delete', 'and delete it with all that is on it')
    .option('--yes', 'do not ask')
    .option(...detachOption)
  detach.action((name: string, which: string, options: DetachOptions) =>
    withSession(detach, (session) => detachDisk(session, name, { which, ...options })),
  )
}

async function listDisks({ api, screen }: Session, name: string): Promise<void> {
  const [vm, { storages }] = await Promise.all([
    api.call('getVm', { params: { vm: name } }),
    api.call('listStorages', {}),
  ])
  if (screen.json) return writeJson(screen, { disks: vm.disks })
  const rows = vm.disks.map((disk, index) => ({ ...disk, index }))
  writeListing(screen, rows, {
    none: `${vm.name} has no disk.`,
    columns: [
      ['NUMBER', ({ index }) => String(index)],
      ['VOLUME', ({ volumeId }) => volumeId],
      ['SIZE', ({ sizeMiB }) => formatSize(sizeMiB)],
      ['FORMAT', ({ format }) => format],
      ['STORAGE', ({ storageId }) => storages.find(({ id }) => id === storageId)?.name ?? storageId],
      ['STATE', ({ isDetached }) => (isDetached === true ? 'taken out' : 'attached')],
    ],
  })
}

async function attachDisk(session: Session, name: string, options: AttachOptions): Promise<void> {
  const { size, disk, storage, format } = options
  const body = disk === undefined ? { sizeMiB: requireSize(size), storage, format } : { disk }
  const begun = await session.api.call('attachDisk', { params: { vm: name }, body })
  await finish(session, begun, { ...options, sentence: 'has its disk' })
}

function requireSize(size: number | undefined): number {
  if (size !== undefined) return size
  throw new CommandFailure('invalid-input', 'It is not said which disk.', {
    exitCode: exitCodes.usage,
    next: 'Say the --size of a new one, or which --disk is put back.',
  })
}

async function resizeDisk(
  session: Session,
  name: string,
  { which, sizeMiB }: { readonly which: string; readonly sizeMiB: number },
): Promise<void> {
  const { api, screen } = session
  const changed = await api.call('resizeDisk', { params: { vm: name, disk: which }, body: { sizeMiB } })
  const view = await tellPending(session, changed)
  if (screen.json) return writeJson(screen, view)
  if (view.pending.length === 0) screen.write(`${printableText(view.name)}: the disk has ${formatSize(sizeMiB)}.\n`)
}

async function detachDisk(
  session: Session,
  name: string,
  options: DetachOptions & { readonly which: string },
): Promise<void> {
  const { api, screen } = session
  const vm = await api.call('getVm', { params: { vm: name } })
  if (options.delete === true) {
    const warning = [`This takes the disk ${options.which} out of ${vm.name} and deletes all that is on it.`]
    await confirmByName(screen, { warning, name: vm.name, isGiven: options.yes === true })
  }
  const query = options.delete === true ? { delete: 'true' } : {}
  const begun = await api.call('detachDisk', { params: { vm: vm.id, disk: options.which }, query })
  const sentence = options.delete === true ? 'has the disk no more' : 'has let go of the disk'
  await finish(session, begun, { ...options, sentence })
}

async function finish(
  session: Session,
  begun: Begun,
  { detach, sentence }: { readonly detach?: boolean; readonly sentence: string },
): Promise<void> {
  const { api, screen } = session
  if (detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  const view = await tellPending(session, await api.call('getVm', { params: { vm: begun.vm.id } }))
  if (screen.json) return writeJson(screen, { vm: view, task })
  if (view.pending.length === 0) screen.write(`${printableText(`${view.name} ${sentence}`)}.\n`)
}
