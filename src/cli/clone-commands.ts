/** `dialtone vm clone` and `dialtone template warm`: machines that begin with another one's memory. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { followTask } from './follow-task.ts'
import { sizeOption, wholeNumberOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type CloneOptions = {
  readonly fromMemory?: boolean
  readonly count: number
  readonly name?: string
  readonly ha?: boolean
  readonly drillable?: boolean
  readonly detach?: boolean
}
type WarmOptions = { readonly cpus?: number; readonly memory?: number; readonly detach?: boolean }

export function addCloneCommand(vm: Command): void {
  vm.command('clone')
    .description('make new machines from a running one')
    .argument('<vm>')
    .option('--from-memory', 'they begin where it stands now, with names, keys and addresses of their own')
    .option('--count <number>', 'how many', wholeNumberOption, 1)
    .option('--name <name>', 'their name; a number is appended where there are several')
    .option('--ha', 'restart them on another host when their own is proven dead')
    .option('--drillable', 'failures may be injected into them without asking')
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, options: CloneOptions, command: Command) =>
      withSession(command, async (session) => {
        if (options.fromMemory !== true)
          throw new CommandFailure('invalid-input', 'A clone is made from memory so far.', {
            exitCode: exitCodes.failed,
            next: `Repeat it as: dialtone vm clone ${name} --from-memory`,
          })
        const body = cloneBody(options)
        await finishClones(session, await session.api.call('cloneVm', { params: { vm: name }, body }), options)
      }),
    )
}

export function addWarmTemplateCommand(template: Command): void {
  template
    .command('warm')
    .description('capture the warm image of a template, from which machines start at once')
    .argument('<template>')
    .option('--cpus <number>', 'virtual CPUs of the machines', wholeNumberOption)
    .option('--memory <size>', 'memory of the machines', sizeOption)
    .option('--detach', 'return at once and let the task go on')
    .action((name: string, options: WarmOptions, command: Command) =>
      withSession(command, async (session) => {
        const body = { cpus: options.cpus, memoryMiB: options.memory }
        const begun = await session.api.call('warmTemplate', { params: { template: name }, body })
        if (options.detach === true) return writeJson(session.screen, begun)
        const task = await followTask(session, begun.task)
        if (session.screen.json) return writeJson(session.screen, { task })
        session.screen.write(`Template ${printableText(name)} has a warm image.\n`)
      }),
    )
}

/** `vm create NAME --template T --from-memory`: one machine from the template's warm image. */
export async function createFromMemory(
  session: Session,
  {
    name,
    template,
    ...options
  }: Pick<CloneOptions, 'ha' | 'drillable' | 'detach'> & { readonly name: string; readonly template: string },
): Promise<void> {
  const body = { names: [name], ha: options.ha ?? false, drillable: options.drillable ?? false }
  const begun = await session.api.call('cloneTemplate', { params: { template }, body })
  await finishClones(session, begun, options)
}

function cloneBody({ count, name, ha, drillable }: CloneOptions) {
  return {
    count,
    drillable: drillable ?? false,
    ...(name === undefined ? {} : { name }),
    ...(ha === undefined ? {} : { ha }),
  }
}

async function finishClones(
  session: Session,
  begun: { readonly names: readonly string[]; readonly task: Parameters<typeof followTask>[1] },
  options: { readonly detach?: boolean },
): Promise<void> {
  const { api, screen } = session
  if (options.detach === true) return writeJson(screen, begun)
  const task = await followTask(session, begun.task)
  const vms = await Promise.all(begun.names.map((vm) => api.call('getVm', { params: { vm } })))
  if (screen.json) return writeJson(screen, { vms, task })
  for (const { name, status, hostName, address } of vms)
    screen.write(`${printableText(`${name} is ${status.state} on ${hostName ?? 'no host'} (${address}).`)}\n`)
}
