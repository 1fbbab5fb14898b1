/** `dialtone host update`: an administrator's command on one host after the other, each empty while it runs. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { wholeNumberOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type Options = {
  readonly hosts?: readonly string[]
  readonly command: string
  readonly parallel: number
  readonly stop?: boolean
  readonly restartElsewhere?: boolean
  readonly yes?: boolean
  readonly detach?: boolean
}

/** Adds the verb `update` to the command `host`. */
export function addUpdateCommand(host: Command): void {
  host
    .command('update')
    .description('empty one host after the other, have it run a command, wait until it is back, and give it back')
    .requiredOption('--rolling', 'one after the other; the first that fails ends it')
    .requiredOption('--command <command>', 'what each host runs, in a shell, as root; it may reboot the host')
    .option('--hosts <names>', 'these hosts, in this order, such as h1,h2; default: all', (text) => text.split(','))
    .option('--parallel <number>', 'how many machines move at the same time', wholeNumberOption, 2)
    .option('--restart-elsewhere', 'shut down what cannot be moved while it runs, and start it on another host')
    .option('--stop', 'stop what cannot move; it starts again when its host is given back')
    .option('--yes', 'do not ask')
    .option('--detach', 'return at once and let the task go on')
    .action((options: Options, command: Command) => withSession(command, (session) => update(session, options)))
}

async function update(session: Session, options: Options): Promise<void> {
  const { api, screen } = session
  const known = (await api.call('listHosts', {})).hosts.map(({ name }) => name).sort()
  const hosts = [...(options.hosts ?? known)]
  const [first = ''] = hosts
  await confirmByName(screen, {
    warning: [
      `This runs as root on ${hosts.join(', ')}, one after the other, each emptied before: ${options.command}`,
      'It stops at the first host that fails or does not come back. Your name is recorded.',
    ],
    name: first,
    isGiven: options.yes === true,
  })
  const body = {
    hosts,
    command: options.command,
    parallel: options.parallel,
    stop: options.stop === true,
    restartElsewhere: options.restartElsewhere === true,
  }
  const begun = await api.call('updateHosts', { body })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  for (const line of (task.output ?? '').trimEnd().split('\n')) screen.write(`${printableText(line)}\n`)
  screen.write(printableText(`Updated: ${begun.hostNames.join(', ')}.`).concat('\n'))
}
