/** `dialtone host maintenance`: empty a host for work on it, and give it back. */
import { Argument, type Command } from 'commander'
import type { MaintenancePlan } from '../model/maintenance.ts'
import { printableText } from '../model/printable-text.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { wholeNumberOption } from './option-parsers.ts'
import { type Listing, type Screen, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'

type Options = {
  readonly plan?: boolean
  readonly parallel: number
  readonly stop?: boolean
  readonly restartElsewhere?: boolean
  readonly detach?: boolean
}

/** Adds the verb `maintenance` to the command `host`. */
export function addMaintenanceCommand(host: Command): void {
  host
    .command('maintenance')
    .description('on: let a host take no more machines and move those away that it has; off: give it back')
    .addArgument(new Argument('<on|off>').choices(['on', 'off']))
    .argument('<host>')
    .option('--plan', 'only say how each machine would leave, or why one would not')
    .option('--parallel <number>', 'how many machines move at the same time', wholeNumberOption, 2)
    .option('--restart-elsewhere', 'shut down what cannot be moved while it runs, and start it on another host')
    .option('--stop', 'stop what cannot move; it starts again when the maintenance ends')
    .option('--detach', 'return at once and let the task go on')
    .action((turn: 'on' | 'off', name: string, ...[options, command]: [options: Options, command: Command]) =>
      withSession(command, (session) => {
        if (options.plan === true) return showPlan(session, name, options)
        return turn === 'on' ? begin(session, name, options) : end(session, name)
      }),
    )
}

async function showPlan({ api, screen }: Session, name: string, options: Options): Promise<void> {
  const query = {
    stop: options.stop === true ? ('true' as const) : ('false' as const),
    restartElsewhere: options.restartElsewhere === true ? ('true' as const) : ('false' as const),
  }
  const plan = await api.call('planMaintenance', { params: { host: name }, query })
  if (screen.json) return writeJson(screen, plan)
  writePlan(screen, plan)
}

function writePlan(screen: Screen, { hostName, moves, warnings }: MaintenancePlan): void {
  writeListing(screen, moves, {
    ...moveListing,
    none: `${printableText(hostName)} holds no machine: it is empty at once.`,
  })
  for (const warning of warnings) screen.write(`\nBut ${printableText(warning)}.\n`)
  const refused = moves.filter(({ way }) => way === 'refused').length
  if (refused > 0) screen.write(`\nIt can't be emptied: ${refused} of ${moves.length} machines would not leave.\n`)
}

const moveListing: Listing<MaintenancePlan['moves'][number]> = {
  none: '',
  columns: [
    ['NAME', (move) => move.vmName],
    ['HOW', (move) => move.way],
    ['TO', (move) => move.toHostName ?? '-'],
    ['WHY', (move) => move.reason],
  ],
}

async function begin(session: Session, name: string, options: Options): Promise<void> {
  const { api, screen } = session
  const body = {
    parallel: options.parallel,
    stop: options.stop === true,
    restartElsewhere: options.restartElsewhere === true,
  }
  const begun = await api.call('beginMaintenance', { params: { host: name }, body })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  const host = await api.call('getHost', { params: { host: begun.host.id } })
  if (screen.json) return writeJson(screen, { host, task })
  const back = `dialtone host maintenance off ${host.name}`
  screen.write(printableText(`${host.name} is empty and takes no machines. Give it back with: ${back}.`).concat('\n'))
}

async function end({ api, screen }: Session, name: string): Promise<void> {
  const answer = await api.call('endMaintenance', { params: { host: name } })
  if (screen.json) return writeJson(screen, answer)
  const { host, startedVms } = answer
  const started = startedVms.length === 0 ? '' : ` Started again: ${startedVms.join(', ')}.`
  screen.write(printableText(`${host.name} takes machines again.${started}`).concat('\n'))
}
