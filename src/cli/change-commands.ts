/** `dialtone vm change …`: tries something out under a safety net. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { formatInstant } from '../model/age.ts'
import type { TaskView, VmView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { secondsOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type BeginOptions = {
  readonly for: number
  readonly check?: readonly string[]
  readonly auto?: boolean
  readonly kind?: 'disk' | 'memory'
  readonly detach?: boolean
}
type EndOptions = { readonly yes?: boolean; readonly detach?: boolean }
type Begun = { readonly vm: VmView; readonly task: TaskView }

const detachOption = ['--detach', 'return at once and let the task go on'] as const

/** Adds the verbs of changes to the command `vm`. */
export function addChangeCommands(vm: Command): void {
  const change = vm.command('change').description('try something out, and go back if it fails').helpCommand(false)
  change
    .command('begin')
    .description('take a snapshot, and watch whether it gets worse from now on')
    .argument('<vm>')
    .option('--for <time>', 'watch it for so long', secondsOption, 600)
    .option(
      '--check <command>',
      'run this in its guest again and again; it has to end with 0 (repeatable)',
      checkOption,
    )
    .option('--auto', 'go back by itself when it gets worse; otherwise it is only told')
    .addOption(new Option('--kind <kind>', 'what the snapshot holds').choices(['disk', 'memory']))
    .option(...detachOption)
    .action((name: string, options: BeginOptions, command: Command) =>
      withSession(command, async (session) => {
        const { check = [], auto = false, kind } = options
        const body = { forSeconds: options.for, checks: [...check], auto, ...(kind === undefined ? {} : { kind }) }
        const begun = await session.api.call('beginChange', { params: { vm: name }, body })
        await finish(session, begun, options)
      }),
    )
  change
    .command('show')
    .description('say how it stands')
    .argument('<vm>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, (session) => showChange(session, name)),
    )
  change
    .command('commit')
    .description('be content: the watch ends, and the snapshot goes')
    .argument('<vm>')
    .option(...detachOption)
    .action((name: string, options: EndOptions, command: Command) =>
      withSession(command, async (session) => {
        await finish(session, await session.api.call('commitChange', { params: { vm: name } }), options)
      }),
    )
  change
    .command('revert')
    .description('take the change back now')
    .argument('<vm>')
    .option('--yes', 'do not ask')
    .option(...detachOption)
    .action((name: string, options: EndOptions, command: Command) =>
      withSession(command, async (session) => {
        const warning = [`This returns ${name} to where it was before the change; what happened since is given up.`]
        await confirmByName(session.screen, { warning, name, isGiven: options.yes === true })
        await finish(session, await session.api.call('revertChange', { params: { vm: name } }), options)
      }),
    )
}

async function showChange({ api, screen }: Session, name: string): Promise<void> {
  const { change, snapshotName } = await api.call('getChange', { params: { vm: name } })
  if (screen.json) return writeJson(screen, { change, snapshotName })
  if (change === null) return screen.write(`${printableText(name)}: no change is open.\n`)
  const auto = change.isAuto ? 'it goes back by itself if it gets worse' : 'it is only told if it gets worse'
  const lines = [
    `${name} may go back to ${snapshotName ?? change.snapshotId}; ${auto}.`,
    `Watched until ${formatInstant(change.watchedUntil, screen.nowMs())}.`,
    change.worse === null ? 'It is not worse than before.' : `It is worse: ${change.worse.reason}.`,
  ]
  screen.write(`${lines.map((line) => printableText(line)).join('\n')}\n`)
}

async function finish(session: Session, begun: Begun, { detach }: { readonly detach?: boolean }): Promise<void> {
  const { screen } = session
  if (detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  if (screen.json) return writeJson(screen, { task })
  screen.write(`${printableText(`${begun.vm.name}: ${task.message}`)}.\n`)
}

function checkOption(text: string, previous: readonly string[] = []): readonly string[] {
  if (text.trim() === '') throw new InvalidArgumentError('A check is a command, such as: curl -fsS localhost.')
  return [...previous, text]
}
