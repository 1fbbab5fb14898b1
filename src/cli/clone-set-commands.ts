/** `dialtone clone-set`: copies of several machines of one instant, in a network where each has the address of its origin. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type SetOptions = {
  readonly into?: string
  readonly isolated?: string
  readonly prefix?: string
  readonly suffix?: string
  readonly start?: boolean
  readonly detach?: boolean
}

export function addCloneSetCommand(cloneSet: Command): void {
  cloneSet
    .argument('<vm...>')
    .option('--into <network>', 'a network that there is')
    .option('--isolated <name>', 'a new network of this name, without a way out')
    .option('--prefix <text>', 'in front of the names of their origins')
    .option('--suffix <text>', 'behind the names of their origins; -copy when there is no prefix either')
    .option('--start', 'start them at once')
    .option('--detach', 'return at once and let the task go on')
    .action((vms: readonly string[], options: SetOptions, command: Command) =>
      withSession(command, (session) => createSet(session, vms, options)),
    )
}

async function createSet(session: Session, vms: readonly string[], options: SetOptions): Promise<void> {
  const { api, screen } = session
  const { into: network, isolated, prefix, suffix, start } = options
  if ((network === undefined) === (isolated === undefined))
    throw new CommandFailure('invalid-input', 'Give either --into or --isolated.', {
      exitCode: exitCodes.usage,
      next: `For example: dialtone clone-set ${vms.join(' ')} --isolated test --start`,
    })
  const begun = await api.call('cloneSet', { body: { vms: [...vms], network, isolated, prefix, suffix, start } })
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  const made = await Promise.all(begun.names.map((vm) => api.call('getVm', { params: { vm } })))
  if (screen.json) return writeJson(screen, { vms: made, tag: begun.tag, task })
  for (const { name, status, address } of made)
    screen.write(`${printableText(`${name} is ${status.state} (${address}).`)}\n`)
  screen.note(`${printableText(`They are found again with: dialtone vm list --tag ${begun.tag}`)}\n`)
}
