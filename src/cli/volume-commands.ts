/** `dialtone volume …` */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import { printableText } from '../model/printable-text.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type MoveOptions = { readonly to: string; readonly watch: boolean; readonly detach?: boolean }

/** Adds the verbs of volumes to the command `volume`. */
export function addVolumeCommands(volume: Command): void {
  volume
    .command('list')
    .description('list all volumes')
    .action((_options: object, command: Command) => withSession(command, listVolumes))
  volume
    .command('move')
    .description('move it to another storage, while its VM runs or is stopped')
    .argument('<volume>', 'its id, or a disk of a VM: web:0 is the root disk of web')
    .requiredOption('--to <storage>', 'to this storage of its host')
    .option('--watch', 'follow it to its end (the default)', true)
    .option('--no-watch', 'return at once and let the task go on')
    .option('--detach', 'the same')
    .action((name: string, options: MoveOptions, command: Command) =>
      withSession(command, (session) => moveVolume(session, name, options)),
    )
}

async function listVolumes({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listVolumes', {})
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  writeListing(screen, answer.volumes, {
    none: 'There is no volume yet: a VM has one, made with dialtone vm create.',
    columns: [
      ['NAME', (one) => one.name],
      ['ID', (one) => one.id],
      ['STORAGE', (one) => one.storageName],
      ['FORMAT', (one) => one.format],
      ['MIB', (one) => String(one.sizeMiB)],
      ['AGE', (one) => formatAge(one.createdAt, nowMs)],
      ['MOVES', (one) => (one.move === null ? '-' : 'yes')],
    ],
  })
}

async function moveVolume(session: Session, name: string, { to, watch, detach }: MoveOptions): Promise<void> {
  const { api, screen } = session
  const begun = await api.call('moveVolume', { params: { volume: name }, body: { storage: to } })
  if (!watch || detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { volume: begun.volume, task })
  screen.write(`${printableText(`${begun.volume.name}: ${task.message}`)}.\n`)
}
