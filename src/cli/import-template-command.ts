/** `dialtone template import`: a disk image from outside becomes a template. */
import type { Command } from 'commander'
import { type GuestOs, guestOsSchema } from '../model/guest.ts'
import { printableText } from '../model/printable-text.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { bringImage } from './image-source.ts'
import { choiceOption, sizeOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type ImportOptions = {
  readonly name: string
  readonly version?: string
  readonly os?: GuestOs
  readonly description?: string
  readonly memory?: number
  readonly minimumMemory?: number
  readonly sha256?: string
  readonly detach?: boolean
}

export function addImportTemplateCommand(template: Command): void {
  template
    .command('import')
    .description('make a template of a disk image (qcow2 or raw): a file of this machine, or an address')
    .argument('<file-or-url>')
    .requiredOption('--name <name>', 'its name')
    .option('--version <version>', 'tells it from others of this name; the date of today when left out')
    .option('--os <os>', 'its profile: linux, windows or other', choiceOption(guestOsSchema.options))
    .option('--description <text>', 'what it is')
    .option('--memory <size>', 'memory of its machines, when nothing else is said', sizeOption)
    .option('--minimum-memory <size>', 'the least that it starts with', sizeOption)
    .option('--sha256 <sum>', 'what must come from the address')
    .option('--detach', 'return at once and let the task go on')
    .action((from: string, options: ImportOptions, command: Command) =>
      withSession(command, (session) => importTemplate(session, from, options)),
    )
}

async function importTemplate(session: Session, from: string, options: ImportOptions): Promise<void> {
  const { api, screen } = session
  const { name, version, os, description, memory, minimumMemory } = options
  const source = await bringImage(session, from, options)
  const body = { source, name, version, os, description, defaultMemoryMiB: memory, minimumMemoryMiB: minimumMemory }
  const begun = await api.call('importTemplate', { body })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  screen.write(`Template ${printableText(begun.task.subject)} is ready.\n`)
}
