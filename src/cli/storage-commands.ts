/** `dialtone storage …` */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import { printableText } from '../model/printable-text.ts'
import { writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type CreateOptions = { readonly path: string; readonly shared?: boolean; readonly host?: string }

/** Adds the verbs of storages to the command `storage`. */
export function addStorageCommands(storage: Command): void {
  storage
    .command('list')
    .description('list all storages')
    .action((_options: object, command: Command) => withSession(command, listStorages))
  storage
    .command('create')
    .description('declare a directory a storage: shared by all hosts, or local to each')
    .argument('<name>')
    .requiredOption('--path <path>', 'the directory, an absolute path on the hosts')
    .option('--shared', 'it is the same directory on every host')
    .option('--host <host>', 'it is the local directory of this host')
    .action((name: string, options: CreateOptions, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const { path, host, shared = false } = options
        const created = await api.call('createStorage', { body: { name, path, shared, host } })
        if (screen.json) return writeJson(screen, created)
        screen.write(`Storage ${printableText(created.name)} is declared.\n`)
      }),
    )
}

async function listStorages({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listStorages', {})
  if (screen.json) return writeJson(screen, answer)
  const nowMs = screen.nowMs()
  writeListing(screen, answer.storages, {
    none: 'There is no storage yet: declare one with dialtone storage create.',
    columns: [
      ['NAME', (storage) => storage.name],
      ['KIND', (storage) => storage.kind],
      ['SHARED', (storage) => (storage.shared ? 'yes' : 'no')],
      ['HOST', (storage) => storage.hostName ?? (storage.shared ? 'all' : '-')],
      ['VOLUMES', (storage) => String(storage.volumes)],
      ['AGE', (storage) => formatAge(storage.createdAt, nowMs)],
      ['PATH', (storage) => storage.path],
    ],
  })
}
