/** `dialtone vm clone` and `dialtone template warm`: machines that begin with another one's disks, or its memory. */
import type { Command } from 'commander'
import { printableText } from '../model/printable-text.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { followTask } from './follow-task.ts'
import { sizeOption, wholeNumberOption } from './option-parsers.ts'
import { writeJson } from './screen.ts'
import { type Session, withSession } from './session.ts'

type CloneOptions = {
  readonly snapshot?: string
  readonly full?: boolean
  readonly network?: string
  readonly start?: boolean
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
    .description('make a new machine with its disks as they are now, or new ones with its memory as well')
    .argument('<vm>')
    .argument('[name]', 'of the clone')
    .option('--snapshot <snapshot>', 'with the disks as they were then')
    .option('--full', 'that shares nothing with its origin; it takes the time of a copy')
    .option('--network <network>', "with its only card in this network; in its origin's networks when left out")
    .option('--start', 'that is started at once')
    .option('--from-memory', 'from memory: they begin where it stands now, with names, keys and addresses of their own')
    .option('--count <number>', 'from memory: how many', wholeNumberOption, 1)
    .option('--name <name>', 'from memory: their name; a number is appended where there are several')
    .option('--ha', 'from memory: restart them on another host when their own is proven dead')
    .option('--drillable', 'from memory: failures may be injected into them without asking')
    .option('--detach', 'return at once and let the task go on')
    .action((vmName: string, cloneName: string | undefined, ...[options, command]: [CloneOptions, Command]) =>
      withSession(command, async (session) => {
        const { api } = session
        const params = { vm: vmName }
        const begun =
          options.fromMemory === true
            ? await api.call('cloneVm', { params, body: cloneBody(options, cloneName) })
            : await api.call('cloneDisks', { params, body: diskCloneBody(options, requireName(vmName, cloneName)) })
        await finishClones(session, begun, options)
      }),
    )
}

function requireName(vmName: string, cloneName: string | undefined): string {
  if (cloneName !== undefined) return cloneName
  throw new CommandFailure('invalid-input', 'The clone needs a name.', {
    exitCode: exitCodes.usage,
    next: `For example: dialtone vm clone ${vmName} ${vmName}-test --start`,
  })
}

function diskCloneBody({ snapshot, full, network, start, ...others }: CloneOptions, name: string) {
  const given = (['name', 'ha', 'drillable'] as const).find((option) => others[option] !== undefined)
  if (given !== undefined || others.count !== 1)
    throw new CommandFailure('invalid-input', `--${given ?? 'count'} is for clones from memory.`, {
      exitCode: exitCodes.usage,
      next: 'Add --from-memory, or leave it out.',
    })
  return {
    name,
    full: full === true,
    start: start === true,
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(network === undefined ? {} : { network }),
  }
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

function cloneBody(options: CloneOptions, given: string | undefined) {
  const { count, ha, drillable, name = given } = options
  const other = (['snapshot', 'full', 'network', 'start'] as const).find((option) => options[option] !== undefined)
  if (other !== undefined)
    throw new CommandFailure('invalid-input', `--${other} and --from-memory do not go together.`, {
      exitCode: exitCodes.usage,
      next: 'A clone from memory is as the machine is now, in its network, and runs.',
    })
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
