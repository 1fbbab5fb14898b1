/** `dialtone cluster reserve`: how many hosts may fail with every machine with HA still finding a place. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { wholeNumberOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

/** Adds the verb `reserve` to the command `cluster`. */
export function addReserveCommand(cluster: Command): void {
  cluster
    .command('reserve')
    .description('say how many hosts may fail with every machine with HA still finding a place, or set it')
    .argument('[hosts]', 'how many; 0 for none', wholeNumberOption)
    .action((hosts: number | undefined, _options: object, command: Command) =>
      withSession(command, (session) => reserve(session, hosts)),
    )
}

async function reserve({ api, screen }: Session, hosts: number | undefined): Promise<void> {
  const view =
    hosts === undefined
      ? await api.call('getReserve', {})
      : await api.call('setReserve', { body: { hostFailuresToTolerate: hosts } })
  if (screen.json) return writeJson(screen, view)
  const { hostFailuresToTolerate: count, isKept, reason } = view
  if (count === 0) return screen.write('No reserve is kept: set one with dialtone cluster reserve 1.\n')
  const many = `${count} host${count === 1 ? '' : 's'}`
  screen.write(`${many} may fail: what would leave a machine with HA without a place is refused.\n`)
  screen.write(isKept ? 'That holds now.\n' : `That does not hold now: ${printableText(reason)}.\n`)
}
