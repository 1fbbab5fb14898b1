/** `dialtone template create`: the root disk of a machine becomes a version of a template. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { sizeOption, wholeNumberOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type CreateOptions = {
  readonly from: string
  readonly version?: string
  readonly note?: string
  readonly memory?: number
  readonly cpus?: number
  readonly port?: readonly number[]
  readonly rootOnly?: boolean
  readonly detach?: boolean
}

export function addCreateTemplateCommand(template: Command): void {
  template
    .command('create')
    .description('make a template of the root disk of a VM, or a new version of one; the VM runs on')
    .argument('<name>')
    .requiredOption('--from <vm>', 'as it is now; VM@SNAPSHOT: as it was then')
    .option('--version <version>', 'tells it from others of this name; the next number when left out')
    .option('--note <text>', 'what it is')
    .option('--memory <size>', 'memory of its machines, when nothing else is said; that of the VM', sizeOption)
    .option('--cpus <number>', 'virtual CPUs of its machines, when nothing else is said', wholeNumberOption)
    .option('--port <number>', 'a TCP port that they serve, may be repeated; as its own template says', collectPort)
    .option('--root-only', "leave the VM's further disks behind")
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, options: CreateOptions, command: Command) =>
      withSession(command, (session) => createTemplate(session, name, options)),
    )
}

function collectPort(text: string, earlier: readonly number[] | undefined): readonly number[] {
  return [...(earlier ?? []), wholeNumberOption(text)]
}

async function createTemplate(session: Session, name: string, options: CreateOptions): Promise<void> {
  const { api, screen } = session
  const { version, note, memory, cpus, port, rootOnly } = options
  const body = {
    name,
    ...originOf(options.from),
    ...{ version, note, memoryMiB: memory, cpus, rootOnly },
    ...(port === undefined ? {} : { ports: [...port] }),
  }
  const begun = await api.call('createTemplate', { body })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json)
    return writeJson(screen, { template: await api.call('getTemplate', { params: { template: begun.version } }), task })
  screen.write(`${printableText(task.message)}.\n`)
}

function originOf(from: string): { readonly vm: string; readonly snapshot?: string } {
  const [vm = '', snapshot, ...more] = from.split('@')
  if (vm !== '' && snapshot !== '' && more.length === 0) return snapshot === undefined ? { vm } : { vm, snapshot }
  throw new CommandFailure('invalid-input', `${from} is neither a VM nor VM@SNAPSHOT.`, {
    exitCode: exitCodes.usage,
    next: 'For example: --from web, or --from web@before-upgrade.',
  })
}
