/** `dialtone host …` */
import type { Command } from 'commander'
import { formatAge, formatDuration, formatInstant } from '../model/age.ts'
import type { HostView } from '../model/api/views.ts'
import { formatShare } from '../model/byte-size.ts'
import { describeLabels } from '../model/labels.ts'
import { printableText } from '../model/printable-text.ts'
import { describeProof } from '../model/proof.ts'
import { CommandFailure, exitCodes } from './command-failure.ts'
import { confirmByName } from './confirm.ts'
import { addMaintenanceCommand } from './maintenance-commands.ts'
import { type Parameters, parameterOption } from './option-parsers.ts'
import { addHostLabelCommand } from './placement-commands.ts'
import { type Listing, writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'
import { hostStateCell } from './state-cells.ts'
import type { Cell } from './text-table.ts'
import { addHostTopCommand } from './top-commands.ts'
import { addUpdateCommand } from './update-commands.ts'

type FenceOptions = { readonly agent?: string; readonly parameter?: Parameters; readonly none?: boolean }
type YesOption = { readonly yes?: boolean }

/** Adds the verbs of hosts to the command `host`. */
export function addHostCommands(host: Command): void {
  host
    .command('list')
    .description('list all hosts')
    .action((_options: object, command: Command) => withSession(command, listHosts))
  host
    .command('show')
    .description('show everything about a host')
    .argument('<host>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, (session) => showHost(session, name)),
    )
  host
    .command('fence')
    .description('set how this host is switched off: a fence agent with its parameters, or none')
    .argument('<host>')
    .option('--agent <path>', 'the fence agent: an absolute path, or a name like fence_ipmilan')
    .option('--parameter <name=value>', 'a parameter of the agent; repeatable', parameterOption)
    .option('--none', 'forget how it is switched off')
    .action((name: string, options: FenceOptions, command: Command) =>
      withSession(command, (session) => setFence(session, name, options)),
    )
  host
    .command('confirm-dead')
    .description('give your word that this host is off, so that its machines may start elsewhere')
    .argument('<host>')
    .option('--yes', 'do not ask')
    .action((name: string, options: YesOption, command: Command) =>
      withSession(command, (session) => confirmDead(session, name, options)),
    )
  host
    .command('delete')
    .description('forget a host that holds nothing')
    .argument('<host>')
    .option('--yes', 'do not ask')
    .action((name: string, options: YesOption, command: Command) =>
      withSession(command, (session) => deleteHost(session, name, options)),
    )
  host
    .command('join-token')
    .description('make a token with which one host of this name may join once, within an hour')
    .argument('<name>')
    .action((hostName: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const answer = await api.call('createJoinToken', { body: { hostName } })
        if (screen.json) return writeJson(screen, answer)
        screen.write(`${printableText(answer.token)}\n`)
        screen.note(`${printableText(hostName)} may join with it once, until ${printableText(answer.expiresAt)}.\n`)
      }),
    )
  addHostLabelCommand(host)
  addMaintenanceCommand(host)
  addUpdateCommand(host)
  addHostTopCommand(host)
}

async function listHosts({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listHosts', {})
  if (screen.json) return writeJson(screen, answer)
  writeListing(screen, answer.hosts, hostListing(screen.nowMs()))
}

function hostListing(nowMs: number): Listing<HostView> {
  return {
    none: 'No host has joined yet: make a token with dialtone host join-token NAME.',
    columns: [
      ['NAME', (host) => host.name],
      ['STATE', (host) => hostStateCell(host.status.state)],
      ['SINCE', (host) => formatAge(host.status.since, nowMs)],
      ['HEARD', (host) => formatSilence(host.silentMs)],
      ['ADDRESS', (host) => host.address],
      ['CPUS', (host) => `${host.usedCpus} of ${host.status.cpus}`],
      ['MEMORY', (host) => formatShare(host.usedMemoryMiB, host.status.memoryMiB)],
      ['VMS', (host) => String(host.vmNames.length)],
      ['ARMED', (host) => host.status.armed],
      ['FENCE', (host) => host.fence?.agent.replace(/^.*\//, '') ?? 'none'],
      ['NOTE', (host) => host.status.detail],
    ],
  }
}

async function showHost({ api, screen }: Session, name: string): Promise<void> {
  const host = await api.call('getHost', { params: { host: name } })
  if (screen.json) return writeJson(screen, host)
  const { storages } = await api.call('listStorages', {})
  const storageNames = host.status.storageIds.map((id) => storages.find((storage) => storage.id === id)?.name ?? id)
  writeDetails(screen, describeHost(host, storageNames, screen.nowMs()))
}

function describeHost(host: HostView, storageNames: readonly string[], nowMs: number): [string, Cell][] {
  const { status } = host
  return [
    ['Name', host.name],
    ['Id', host.id],
    ['State', hostStateCell(status.state)],
    ['Reason', status.detail === '' ? '-' : status.detail],
    ['Since', formatInstant(status.since, nowMs)],
    ['Last heard', host.silentMs === null ? 'never' : `${formatSilence(host.silentMs)} ago`],
    [
      'Fencing',
      status.fencing === null
        ? 'none'
        : `since ${formatInstant(status.fencing.startedAt, nowMs)}: ${status.fencing.reason}`,
    ],
    ['Proof', status.proof === null ? 'none' : describeProof(status.proof)],
    [
      'Armed',
      { hard: 'hard: a hardware watchdog resets it', soft: 'soft: a kernel timer kills', none: 'no' }[status.armed],
    ],
    ['Fence agent', describeFence(host.fence)],
    ['Address', `${host.address}, port ${host.port}`],
    ['CPUs', `${host.usedCpus} of ${status.cpus} given to VMs`],
    ['Memory', `${formatShare(host.usedMemoryMiB, status.memoryMiB)} given to VMs`],
    ['VMs', host.vmNames.length === 0 ? 'none' : host.vmNames.join(', ')],
    ['Storages', storageNames.length === 0 ? 'none' : storageNames.join(', ')],
    ['Accelerator', status.accelerator ?? '-'],
    ['QEMU', status.qemuVersion ?? '-'],
    ['Machine type', status.machineType ?? '-'],
    ['CPU model', status.cpuModel ?? '-'],
    ['Firewall', `${status.firewall}${status.firewallDetail === '' ? '' : `: ${status.firewallDetail}`}`],
    ['Networks', describeNetworkFaults(status.networkFaults)],
    ['Labels', describeLabels(host.labels)],
    ['Slot', String(host.number)],
    ['Session', status.session ?? '-'],
    ['Boot', status.bootId ?? '-'],
    ['Joined', formatInstant(host.joinedAt, nowMs)],
  ]
}

function describeNetworkFaults(faults: HostView['status']['networkFaults']): string {
  const kinds = Object.entries(faults).map(([kind, reason]) => `no ${kind}: ${reason}`)
  return kinds.length === 0 ? 'all kinds' : kinds.join('; ')
}

/** Secrets stay off the screen; `--json` has them for scripts. */
function describeFence(fence: HostView['fence']): string {
  if (fence === null) return 'none: nothing can switch it off'
  const parameters = Object.entries(fence.parameters).map(
    ([name, value]) => `${name}=${/pass|secret|token|key/.test(name) ? '(hidden)' : value}`,
  )
  return [fence.agent, ...parameters].join(' ')
}

async function setFence({ api, screen }: Session, name: string, options: FenceOptions): Promise<void> {
  const { agent, parameter: parameters = {}, none: isNone = false } = options
  if (isNone === (agent !== undefined)) {
    throw new CommandFailure('invalid-input', 'Give either --agent with its parameters, or --none.', {
      exitCode: exitCodes.usage,
      next: 'For example: dialtone host fence node1 --agent fence_ipmilan --parameter ip=10.0.0.9.',
    })
  }
  const fence = agent === undefined ? null : { agent, parameters }
  const host = await api.call('setHostFence', { params: { host: name }, body: { fence } })
  if (screen.json) return writeJson(screen, host)
  screen.write(`${printableText(host.name)} is switched off by: ${printableText(describeFence(host.fence))}.\n`)
}

async function confirmDead({ api, screen }: Session, name: string, options: YesOption): Promise<void> {
  const host = await api.call('getHost', { params: { host: name } })
  const machines = host.vmNames.length === 0 ? 'It holds no machine.' : `Its machines: ${host.vmNames.join(', ')}.`
  await confirmByName(screen, {
    warning: [
      `You give your word that ${host.name} (${host.status.state}, last heard ${formatSilence(host.silentMs)} ago) is switched off.`,
      'Its machines may then start elsewhere. If it still runs, two machines write to one disk and destroy what is on it.',
      `Look at the server itself: its power is off, or its cable is out. Your name is recorded. ${machines}`,
    ],
    name: host.name,
    isGiven: options.yes === true,
  })
  const answer = await api.call('confirmHostDead', { params: { host: host.id }, body: { confirm: host.name } })
  if (screen.json) return writeJson(screen, answer)
  screen.write(`Recorded: ${printableText(describeProof(answer.proof))}.\n`)
}

async function deleteHost({ api, screen }: Session, name: string, options: YesOption): Promise<void> {
  const host = await api.call('getHost', { params: { host: name } })
  await confirmByName(screen, {
    warning: [`This forgets the host ${host.name} (${host.status.state}). To come back it needs a new join token.`],
    name: host.name,
    isGiven: options.yes === true,
  })
  const answer = await api.call('deleteHost', { params: { host: host.id } })
  if (screen.json) return writeJson(screen, answer)
  screen.write(`${printableText(host.name)} is forgotten.\n`)
}

function formatSilence(silentMs: number | null): string {
  return silentMs === null ? 'never' : formatDuration(silentMs)
}
