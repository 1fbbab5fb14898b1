/** `dialtone vm migrate`: moves a VM to another host while it runs. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type MigrateOptions = {
  readonly to?: string
  readonly storage?: string
  readonly force?: boolean
  readonly watch: boolean
}

export function addMigrateCommand(vm: Command): void {
  vm.command('migrate')
    .description('move it to another host while it runs')
    .argument('<vm>')
    .option('--to <host>', 'to this host; where it fits best when left out')
    .option('--storage <storage>', 'where its local disks go there; its storage with the most room when left out')
    .option('--force', 'also when it breaks the reserve for failing hosts')
    .option('--watch', 'follow it to its end (the default)', true)
    .option('--no-watch', 'return at once and let the task go on')
    .option('--detach', 'the same')
    .action((name: string, options: MigrateOptions & { readonly detach?: boolean }, command: Command) =>
      withSession(command, (session) =>
        migrate(session, name, { ...options, watch: options.watch && options.detach !== true }),
      ),
    )
}

async function migrate(
  session: Session,
  name: string,
  { to, storage, watch, force = false }: MigrateOptions,
): Promise<void> {
  const { api, screen } = session
  const body = { force, ...(to === undefined ? {} : { host: to }), ...(storage === undefined ? {} : { storage }) }
  const begun = await api.call('migrateVm', { params: { vm: name }, body })
  if (!watch) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  const vm = await api.call('getVm', { params: { vm: begun.vm.id } })
  if (screen.json) return writeJson(screen, { vm, task })
  screen.write(`${printableText(`${vm.name}: ${task.message}`)}.\n`)
}
