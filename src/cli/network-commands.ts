/** `dialtone network …` */
import type { Command } from 'commander'
import { formatInstant } from '../model/age.ts'
import type { NetworkView } from '../model/api/network-routes.ts'
import { printableText } from '../model/printable-text.ts'
import { confirmByName } from './confirm.ts'
import { choiceOption, wholeNumberOption } from './option-parsers.ts'
import { writeDetails, writeJson, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'
import type { Cell } from './text-table.ts'

type SetOptions = { readonly subnet: string; readonly gateway: string; readonly from: string; readonly to: string }
type CreateOptions = {
  readonly kind?: 'vxlan' | 'vlan'
  readonly vni?: number
  readonly vlan?: number
  readonly interface?: string
  readonly subnet: string
  readonly gateway?: string
  readonly from?: string
  readonly to?: string
  readonly ipv6?: string
  readonly domain?: string
  readonly uplink?: 'none' | 'nat' | 'routed'
  readonly mtu?: number
}

/** Adds the verbs of networks to the command `network`. */
export function addNetworkCommands(network: Command): void {
  addCreate(network)
  network
    .command('list')
    .description('list all networks')
    .action((_options: object, command: Command) => withSession(command, listNetworks))
  network
    .command('show')
    .description('show everything about a network')
    .argument('<network>')
    .action((name: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const view = await api.call('getNetwork', { params: { network: name } })
        if (screen.json) return writeJson(screen, view)
        writeDetails(screen, describeNetwork(view, screen.nowMs()))
      }),
    )
  network
    .command('delete')
    .description('delete a network that no VM has a card in')
    .argument('<network>')
    .option('--yes', 'do not ask')
    .action((name: string, options: { readonly yes?: boolean }, command: Command) =>
      withSession(command, (session) => deleteNetwork(session, name, options.yes === true)),
    )
  addSet(network)
}

function addCreate(network: Command): void {
  network
    .command('create')
    .description('make a network of its own over all hosts; its addresses may be those of another one')
    .argument('<name>')
    .requiredOption('--subnet <cidr>', 'such as 10.20.0.0/24')
    .option('--kind <kind>', 'vxlan (over the hosts’ network) or vlan', choiceOption(['vxlan', 'vlan']))
    .option('--vni <number>', 'number of the VXLAN; chosen when left out', wholeNumberOption)
    .option('--vlan <id>', 'id of the VLAN', wholeNumberOption)
    .option('--interface <name>', 'the hosts’ interface that carries the VLAN')
    .option('--gateway <address>', 'the address of its router, on every host; the first of the subnet')
    .option('--from <address>', 'the first address that may be assigned')
    .option('--to <address>', 'the last one')
    .option('--ipv6 <prefix>', 'an IPv6 prefix of 64 bits, such as fd00:5::/64')
    .option('--domain <domain>', 'the domain of its machines; NAME.internal when left out')
    .option(
      '--uplink <uplink>',
      'none (the default), nat (with their host’s address) or routed (with their own)',
      choiceOption(['none', 'nat', 'routed']),
    )
    .option('--mtu <bytes>', '1450 for VXLAN, 1500 for VLAN', wholeNumberOption)
    .action((name: string, options: CreateOptions, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const { vlan: vlanId, from: addressFrom, to: addressTo, ipv6: prefix6, ...rest } = options
        const body = { name, ...rest, vlanId, addressFrom, addressTo, prefix6 }
        const created = await api.call('createNetwork', { body })
        if (screen.json) return writeJson(screen, created)
        screen.write(`Network ${printableText(created.name)} is made: ${printableText(describeBriefly(created))}.\n`)
      }),
    )
}

function addSet(network: Command): void {
  network
    .command('set')
    .description('set the flat network, the hosts’ own: subnet, gateway and the addresses that are assigned')
    .requiredOption('--subnet <cidr>', 'such as 10.20.0.0/24')
    .requiredOption('--gateway <address>', 'such as 10.20.0.1')
    .requiredOption('--from <address>', 'the first address that may be assigned')
    .requiredOption('--to <address>', 'the last one')
    .action((options: SetOptions, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const { subnet, gateway, from: addressFrom, to: addressTo } = options
        const pool = await api.call('setNetwork', { body: { subnet, gateway, addressFrom, addressTo } })
        if (screen.json) return writeJson(screen, pool)
        screen.write(`The flat network is ${describePool(pool)}.\n`)
      }),
    )
}

/** What addresses machines get, in a few words. */
export function describePool({ subnet, gateway, addressFrom, addressTo }: NetworkView['pool']): string {
  return `${subnet}, gateway ${gateway}, VMs get ${addressFrom} to ${addressTo}`
}

async function listNetworks({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listNetworks', {})
  if (screen.json) return writeJson(screen, answer)
  writeListing(screen, answer.networks, {
    none: 'There is no network yet: set the flat one with dialtone network set, or make one with dialtone network create.',
    columns: [
      ['NAME', (network) => network.name],
      ['KIND', describeSegment],
      ['SUBNET', (network) => network.pool.subnet],
      ['IPV6', (network) => network.prefix6 ?? '-'],
      ['UPLINK', (network) => network.uplink],
      ['DOMAIN', (network) => (network.domain === '' ? '-' : network.domain)],
      ['VMS', (network) => String(network.vmNames.length)],
      ['HOSTS', (network) => (network.hostNames.length === 0 ? '-' : network.hostNames.join(', '))],
    ],
  })
}

async function deleteNetwork({ api, screen }: Session, name: string, isGiven: boolean): Promise<void> {
  const network = await api.call('getNetwork', { params: { network: name } })
  const warning = [`This deletes the network ${network.name}: ${describeBriefly(network)}.`]
  await confirmByName(screen, { warning, name: network.name, isGiven })
  const deleted = await api.call('deleteNetwork', { params: { network: network.id } })
  if (screen.json) return writeJson(screen, deleted)
  screen.write(`Network ${printableText(deleted.name)} is deleted.\n`)
}

function describeNetwork(network: NetworkView, nowMs: number): [string, Cell][] {
  const { pool, vmNames, hostNames } = network
  return [
    ['Name', network.name],
    ['Id', network.id],
    ['Kind', describeSegment(network)],
    ['Subnet', pool.subnet],
    ['Gateway', pool.gateway],
    ['Assigned', `${pool.addressFrom} to ${pool.addressTo}`],
    ['IPv6', network.prefix6 ?? 'none'],
    ['Domain', network.domain === '' ? 'none' : network.domain],
    ['Uplink', network.uplink],
    ['MTU', String(network.mtu)],
    ['VMs', vmNames.length === 0 ? 'none' : vmNames.join(', ')],
    ['Hosts', hostNames.length === 0 ? 'none: no machine of it is on a host' : hostNames.join(', ')],
    ...(network.createdAt === null
      ? []
      : [['Created', formatInstant(network.createdAt, nowMs)] satisfies [string, Cell]]),
  ]
}

function describeBriefly(network: NetworkView): string {
  return `${describeSegment(network)}, ${describePool(network.pool)}, uplink ${network.uplink}`
}

function describeSegment({ segment }: NetworkView): string {
  if (segment.kind === 'vxlan') return `vxlan ${segment.vni}`
  return segment.kind === 'vlan' ? `vlan ${segment.vlanId} on ${segment.interface}` : 'flat'
}
