/** `dialtone vm …` */
import type { Command } from 'commander'
import { formatAge } from '../model/age.ts'
import type { TaskView, VmView } from '../model/api/views.ts'
import { formatSize } from '../model/byte-size.ts'
import { printableText } from '../model/printable-text.ts'
import { addCdromCommands } from './cdrom-commands.ts'
import { addChangeCommands } from './change-commands.ts'
import { addCloneCommand, createFromMemory } from './clone-commands.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { confirmByName } from './confirm.ts'
import { addDiskCommands } from './disk-commands.ts'
import { followTask, writeBegun } from './follow-task.ts'
import { addGuestOptions, type GuestOptions, guestOf } from './guest-options.ts'
import { addMigrateCommand } from './migrate-command.ts'
import { addNamingCommands } from './naming-commands.ts'
import { addNicCommands } from './nic-commands.ts'
import {
  type DiskOption,
  diskOption,
  type NicOption,
  nameOption,
  nicOption,
  secondsOption,
  sizeOption,
  wholeNumberOption,
} from './option-parsers.ts'
import { addPlacementCommand } from './placement-commands.ts'
import { addPlacementOptions, type PlacementOptions, placementRulesOf } from './placement-options.ts'
import { addRecoverCommand } from './recover-commands.ts'
import { addRecoveryOptions, probeOf, type RecoveryOptions, recoveryOf } from './recovery-options.ts'
import { type Listing, writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'
import { addSnapshotCommands } from './snapshot-commands.ts'
import { vmStateCell } from './state-cells.ts'
import { addVmTopCommand } from './top-commands.ts'
import { describeVm } from './vm-details.ts'
import { addVmRecoveryCommands } from './vm-recovery-commands.ts'

type CreateOptions = RecoveryOptions &
  GuestOptions &
  PlacementOptions & {
    readonly template?: string
    readonly fromMemory?: boolean
    readonly securityGroup?: readonly string[]
    readonly cpus?: number
    readonly memory?: number
    readonly storage?: string
    readonly disk?: readonly DiskOption[]
    readonly address?: string
    readonly network?: readonly NicOption[]
    readonly host?: string
    readonly ha?: boolean
    readonly autostart: boolean
    readonly startOrder?: number
    readonly start: boolean
    readonly append?: string
    readonly force?: boolean
    readonly detach?: boolean
  }
type ListOptions = { readonly tag?: string }
type DetachOption = { readonly detach?: boolean }
type DeleteOptions = DetachOption & {
  readonly force?: boolean
  readonly protectedToo?: boolean
  readonly yes?: boolean
}
type ConsoleOptions = { readonly linger: number }
type FinishOptions = DetachOption & { readonly isDeleted?: boolean }
type VmAndTask = { readonly vm: VmView; readonly task: TaskView }

const detachOption = ['--detach', 'return at once and let the task go on'] as const

/** Adds the verbs of VMs to the command `vm`. */
export function addVmCommands(vm: Command): void {
  addCreate(vm)
  vm.command('list')
    .description('list all VMs')
    .option('--tag <tag>', 'only those that have this tag')
    .action((options: ListOptions, command: Command) => withSession(command, (session) => listVms(session, options)))
  vm.command('show')
    .description('show everything about a VM')
    .argument('<vm>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, (session) => showVm(session, name)),
    )
  addPowerVerbs(vm)
  addVmRecoveryCommands(vm)
  addCloneCommand(vm)
  addRecoverCommand(vm)
  addMigrateCommand(vm)
  addSnapshotCommands(vm)
  addChangeCommands(vm)
  addPlacementCommand(vm)
  addCdromCommands(vm)
  addNamingCommands(vm)
  addDiskCommands(vm)
  addVmTopCommand(vm)
  addNicCommands(vm.command('nic').description('the network cards of a VM'))
  vm.command('reset')
    .description('press its reset button')
    .argument('<vm>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const view = await api.call('resetVm', { params: { vm: name } })
        if (screen.json) writeJson(screen, view)
        else screen.write(`${printableText(view.name)} was reset.\n`)
      }),
    )
  vm.command('delete')
    .description('delete a VM with its disks')
    .argument('<vm>')
    .option('--force', 'kill it first if it runs')
    .option('--protected-too', 'also when it has protected snapshots')
    .option('--yes', 'do not ask')
    .option(...detachOption)
    .action((name: string, options: DeleteOptions, command: Command) =>
      withSession(command, (session) => deleteVm(session, name, options)),
    )
  vm.command('console')
    .description('open its serial console; Ctrl-] leaves it')
    .argument('<vm>')
    .option(
      '--linger <time>',
      'with piped input: leave after this much quiet once the input has ended',
      secondsOption,
      2,
    )
    .action((name: string, options: ConsoleOptions, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const { attachConsole } = await import('./vm-console.ts')
        const stream = await api.upgrade('vmConsole', { params: { vm: name } })
        const { stdin: input, stdout: output } = process
        await attachConsole({ stream, name, input, output, lingerMs: options.linger * 1000, note: screen.note })
      }),
    )
}

function addCreate(vm: Command): void {
  const create = vm.command('create').description('make a VM from a template and start it').argument('<name>')
  addPlacementOptions(addRecoveryOptions(addGuestOptions(create)))
    .option('--template <template>', 'the template that it is made from; an empty disk when left out')
    .option('--cpus <number>', 'virtual CPUs', wholeNumberOption)
    .option('--memory <size>', 'memory, such as 128MiB or 2G', sizeOption)
    .option('--storage <storage>', 'storage of its disks')
    .option('--disk <size[,raw]>', 'a further empty disk; repeatable', diskOption)
    .option('--address <address>', 'IPv4 address; assigned when left out')
    .option(
      '--network <network[,address=ADDRESS]>',
      'a card in this network; repeatable; flat when left out',
      nicOption,
    )
    .option('--host <host>', 'start on this host')
    .option('--ha', 'restart it on another host when its own is proven dead')
    .option('--drillable', 'failures may be injected into it without asking')
    .option('--security-group <group>', 'close it but for what this group lets through; repeatable', nameOption)
    .option('--no-autostart', 'do not start it again after an outage of its host')
    .option('--from-memory', "start it from the template's warm image: it runs at once")
    .option('--start-order <number>', 'lower starts first', wholeNumberOption)
    .option('--no-start', 'only make it')
    .option('--force', 'also when it breaks the reserve for failing hosts')
    .option(
      '--append <arguments>',
      'appended to the kernel command line; {host}, {epoch} and {incarnation} are filled in',
    )
    .option(...detachOption)
    .action((name: string, options: CreateOptions, command: Command) =>
      withSession(command, async (session) => {
        if (options.fromMemory === true) {
          refuseWithMemory(options)
          return createFromMemory(session, { name, ...options, template: requireTemplate(options) })
        }
        requireDisk(options)
        const begun = await session.api.call('createVm', {
          body: {
            name,
            template: options.template,
            ...(await guestOf(options)),
            cpus: options.cpus,
            memoryMiB: options.memory,
            storage: options.storage,
            disks: options.disk === undefined ? undefined : [...options.disk],
            address: options.address,
            networks: options.network === undefined ? undefined : [...options.network],
            host: options.host,
            ha: options.ha,
            autostart: options.autostart,
            startOrder: options.startOrder,
            start: options.start,
            extraCommandLine: options.append,
            recovery: recoveryOf(options),
            probe: probeOf(options),
            drillable: options.drillable,
            securityGroups: [...(options.securityGroup ?? [])],
            placementRules: placementRulesOf(options),
            force: options.force,
          },
        })
        await finish(session, begun, options)
      }),
    )
}

function requireDisk({ template, rootDisk }: CreateOptions): void {
  if (template !== undefined || rootDisk !== undefined) return
  throw new CommandFailure('invalid-input', 'It is not said what the VM is made from.', {
    exitCode: exitCodes.usage,
    next: 'Name a --template, or the size of an empty disk and the disc that fills it: --root-disk 20GiB --iso DISC.',
  })
}

/** The memory is a template's. */
function requireTemplate({ template }: CreateOptions): string {
  if (template !== undefined) return template
  throw new CommandFailure('invalid-input', '--from-memory needs a --template.', {
    exitCode: exitCodes.usage,
    next: 'Name a template that is warm: dialtone template list shows which are.',
  })
}

/** What starts from memory runs at once, as the machine that the memory is of: nothing of these can be said of it beforehand. */
const notFromMemory = {
  securityGroup: '--security-group',
  iso: '--iso',
  rootDisk: '--root-disk',
  os: '--os',
  firmware: '--firmware',
  secureBoot: '--secure-boot',
  tpm: '--tpm',
  display: '--display',
  devices: '--devices',
  userData: '--user-data',
  sshKey: '--ssh-key',
  networkConfig: '--network-config',
} as const satisfies { readonly [Option in keyof CreateOptions]?: string }

function refuseWithMemory(options: CreateOptions): void {
  const given = Object.entries(notFromMemory).find(([option]) => Object.hasOwn(options, option))
  if (given === undefined) return
  throw new CommandFailure('invalid-input', `${given[1]} and --from-memory do not go together.`, {
    exitCode: exitCodes.usage,
    next: 'Leave one of them out; dialtone firewall apply gives groups to a VM that runs.',
  })
}

function addPowerVerbs(vm: Command): void {
  for (const [verb, route, description] of [
    ['kill', 'killVm', 'cut its power'],
    ['pause', 'pauseVm', 'stop its vCPUs'],
    ['resume', 'resumeVm', 'let its vCPUs go on'],
  ] as const) {
    vm.command(verb)
      .description(description)
      .argument('<vm>')
      .option(...detachOption)
      .action((name: string, options: DetachOption, command: Command) =>
        withSession(command, async (session) => {
          await finish(session, await session.api.call(route, { params: { vm: name } }), options)
        }),
      )
  }
  vm.command('start')
    .description('start it')
    .argument('<vm>')
    .option('--force', 'also when it breaks the reserve for failing hosts')
    .option(...detachOption)
    .action((name: string, options: DetachOption & { readonly force?: boolean }, command: Command) =>
      withSession(command, async (session) => {
        const body = { force: options.force === true }
        await finish(session, await session.api.call('startVm', { params: { vm: name }, body }), options)
      }),
    )
  vm.command('stop')
    .description('press its power button and wait until it is off')
    .argument('<vm>')
    .option('--timeout <time>', 'how long its guest may take, such as 90s or 2m', secondsOption, 60)
    .option(...detachOption)
    .action((name: string, options: DetachOption & { readonly timeout: number }, command: Command) =>
      withSession(command, async (session) => {
        const body = { timeoutSeconds: options.timeout }
        await finish(session, await session.api.call('stopVm', { params: { vm: name }, body }), options)
      }),
    )
}

async function listVms({ api, screen }: Session, { tag }: ListOptions): Promise<void> {
  const answer = await api.call('listVms', tag === undefined ? {} : { query: { tag } })
  if (screen.json) return writeJson(screen, answer)
  const none = tag === undefined ? {} : { none: `No VM has the tag ${tag}.` }
  writeListing(screen, answer.vms, { ...vmListing(screen.nowMs()), ...none })
}

function vmListing(nowMs: number): Listing<VmView> {
  return {
    none: 'There is no VM yet: make one with dialtone vm create.',
    columns: [
      ['NAME', (vm) => vm.name],
      ['STATE', (vm) => vmStateCell(vm.status.state)],
      ['SINCE', (vm) => formatAge(vm.status.since, nowMs)],
      ['HOST', (vm) => vm.hostName ?? '-'],
      ['ADDRESS', (vm) => vm.address],
      ['CPUS', (vm) => String(vm.cpus)],
      ['MEMORY', (vm) => formatSize(vm.memoryMiB)],
      ['HA', (vm) => (vm.ha ? 'yes' : 'no')],
      ['RECOVERY', (vm) => recoveryCell(vm)],
      ['TEMPLATE', (vm) => vm.templateName],
      ['NOTE', (vm) => vm.status.detail],
    ],
  }
}

/** How it would come back, and whether all is ready for that. */
function recoveryCell({ recovery, status }: VmView): string {
  if (recovery.mode === 'boot') return 'boot'
  const image = status.recovery?.image ?? null
  if (image === null) return `${recovery.mode}, no image yet`
  return status.recovery?.spare === 'ready' ? `${recovery.mode}, ready` : recovery.mode
}

async function showVm({ api, screen }: Session, name: string): Promise<void> {
  const params = { vm: name }
  if (screen.json) return writeJson(screen, await api.call('getVm', { params }))
  const [vm, { storages }, { hosts }] = await Promise.all([
    api.call('getVm', { params }),
    api.call('listStorages', {}),
    api.call('listHosts', {}),
  ])
  writeDetails(screen, describeVm(vm, { storages, hosts, nowMs: screen.nowMs() }))
}

async function deleteVm(session: Session, name: string, options: DeleteOptions): Promise<void> {
  const { api, screen } = session
  const vm = await api.call('getVm', { params: { vm: name } })
  const disks = vm.disks.map(
    (disk, index) => `  ${index === 0 ? 'root disk' : `disk ${index}`}, ${formatSize(disk.sizeMiB)}`,
  )
  const { snapshots } = await api.call('listSnapshots', { params: { vm: vm.id } })
  const points = snapshots.map(({ name: each, isProtected }) => `  snapshot ${each}${isProtected ? ', protected' : ''}`)
  await confirmByName(screen, {
    warning: [`This deletes the VM ${vm.name} (${vm.status.state}) and all that is on its disks:`, ...disks, ...points],
    name: vm.name,
    isGiven: options.yes === true,
  })
  // By its id: what was confirmed is deleted, not another machine that has the name by now.
  const query = {
    ...(options.force === true ? { force: 'true' } : {}),
    ...(options.protectedToo === true ? { protectedToo: 'true' } : {}),
  }
  await finish(session, await api.call('deleteVm', { params: { vm: vm.id }, query }), { ...options, isDeleted: true })
}

/** Follows the task unless detached, then says how the VM is now. A deleted one is told as it was. */
async function finish(session: Session, begun: VmAndTask, options: FinishOptions): Promise<void> {
  const { api, screen } = session
  if (options.detach === true) return writeBegun(screen, begun)
  const task = await followTask(session, begun.task)
  const isDeleted = options.isDeleted === true
  const vm = isDeleted ? begun.vm : await api.call('getVm', { params: { vm: begun.vm.id } })
  if (screen.json) return writeJson(screen, { vm, task })
  screen.write(`${printableText(isDeleted ? `${vm.name} is deleted.` : describeBriefly(vm))}\n`)
}

function describeBriefly({ name, hostName, address, status }: VmView): string {
  const place = hostName === null || status.state === 'stopped' ? '' : ` on ${hostName} (${address})`
  return `${name} is ${status.state}${place}.`
}
