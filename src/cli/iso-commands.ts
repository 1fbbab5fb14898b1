/** `dialtone iso …` */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import { formatSize } from '../model/byte-size.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { bringImage } from './image-source.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type ImportOptions = { readonly name: string; readonly sha256?: string; readonly detach?: boolean }

/** Adds the verbs of the library of discs to the command `iso`. */
export function addIsoCommands(iso: Command): void {
  iso
    .command('list')
    .description('list all discs')
    .action((_options: object, command: Command) => withSession(command, listIsos))
  iso
    .command('import')
    .description('take a disc into the library: a file of this machine, or an address')
    .argument('<file-or-url>')
    .requiredOption('--name <name>', 'its name in the library')
    .option('--sha256 <sum>', 'what must come from the address')
    .option('--detach', 'return at once and let the task go on')
    .action((from: string, options: ImportOptions, command: Command) =>
      withSession(command, (session) => importIso(session, from, options)),
    )
  iso
    .command('delete')
    .description('delete a disc that is in no drive')
    .argument('<iso>')
    .option('--yes', 'do not ask')
    .action((name: string, options: { readonly yes?: boolean }, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        await confirmByName(screen, {
          warning: [`This deletes the disc ${name}.`],
          name,
          isGiven: options.yes === true,
        })
        await api.call('deleteIso', { params: { iso: name } })
        if (screen.json) writeJson(screen, { deleted: name })
        else screen.write(`${printableText(name)} is deleted.\n`)
      }),
    )
}

async function listIsos({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listIsos', {})
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  writeListing(screen, answer.isos, {
    none: 'There is no disc yet: take one in with dialtone iso import FILE --name NAME.',
    columns: [
      ['NAME', (iso) => iso.name],
      ['SIZE', (iso) => formatSize(Math.ceil(iso.bytes / 2 ** 20))],
      ['IMPORTED', (iso) => formatAge(iso.importedAt, nowMs)],
      ['IN', (iso) => (iso.vmNames.length === 0 ? '-' : iso.vmNames.join(', '))],
      ['SHA-256', (iso) => iso.sha256],
    ],
  })
}

async function importIso(session: Session, from: string, { name, ...options }: ImportOptions): Promise<void> {
  const { api, screen } = session
  const source = await bringImage(session, from, options)
  const begun = await api.call('importIso', { body: { name, source } })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  screen.write(`The disc ${printableText(name)} is in the library.\n`)
}
