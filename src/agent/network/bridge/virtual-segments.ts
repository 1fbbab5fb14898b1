/**
 * The networks of their own on this host, kept as the leader planned them: bridge, trunk to the other hosts, router with DHCP and DNS. All
 * of it outlives the agent and is found again by its names; what is not as planned is mended, what isn't planned goes, and what isn't ours by
 * name is never touched.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { removeCgroup } from '../../../linux/cgroup.ts'
import { deleteInterface, runIpCommands } from '../../../linux/network-namespace.ts'
import { runCommand } from '../../../linux/run-command.ts'
import type { HostNetwork } from '../../../model/agent-protocol/host-network.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { NetworkId } from '../../../model/ids.ts'
import type { Logger } from '../../../model/logger.ts'
import type { NetworkSettings } from '../network.ts'
import { createDhcpServer, type DhcpServer } from './dhcp-server.ts'
import { ensureRouter, hasRouter, removeRouter, routeTo } from './router-namespace.ts'
import { ensureHostRules } from './router-way.ts'
import type { Segment } from './segment.ts'
import { askingAddress, routerInterface, segmentNames } from './segment-names.ts'
import {
  forwardingCommands,
  forwardingSchema,
  type Links,
  linkCommands,
  linksSchema,
  unwantedNumbers,
} from './segment-plan.ts'

export type VirtualSegmentsOptions = {
  readonly runDirectory: string
  readonly cgroupDirectory: string
  readonly leaseSeconds: number
  readonly logger: Logger
  /** How often everything is looked through; 10 s. */
  readonly repairMs?: number
  /** How long a network is waited for: the leader's plan comes with the next heartbeat; 5 s. */
  readonly waitMs?: number
}

export type VirtualSegments = AsyncDisposable & {
  /** See the port. */
  configure(networks: readonly HostNetwork[]): Promise<void>
  /** Waits for a network that isn't here yet; throws `network-failed` with what keeps it from being made. */
  segment(networkId: NetworkId): Promise<Segment>
  /** See the port. */
  settings(networkId: NetworkId): NetworkSettings
  /** Those that are here now. */
  present(): readonly NetworkId[]
}

type Member = {
  network: HostNetwork
  readonly dhcp: DhcpServer
  state: 'ready' | 'pending' | { readonly fault: string }
}

const timeoutMs = 5000
const errorCode = 'network-failed' as const

export function createVirtualSegments(options: VirtualSegmentsOptions): VirtualSegments {
  const members = new Map<number, Member>()
  let lastTurn: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = lastTurn.then(work).catch((error: unknown) => options.logger.error('networks.not-made', { error }))
    lastTurn = turn
    return turn
  }
  let repair: NodeJS.Timeout | undefined
  const memberOf = (networkId: NetworkId) =>
    [...members.values()].find(({ network }) => network.networkId === networkId)
  return {
    configure(networks) {
      repair ??= setInterval(
        () => void inTurn(() => makeAll(members, options, true)),
        options.repairMs ?? 10_000,
      ).unref()
      return inTurn(async () => {
        for (const network of networks) {
          const before = members.get(network.number)
          // Its number is another network's by now: nothing of it may be left.
          if (before !== undefined && before.network.networkId !== network.networkId)
            await removeOne(network.number, options)
          enter(network, members, options)
        }
        const wanted = new Set(networks.map(({ number }) => number))
        for (const [number, member] of members) if (!wanted.has(number)) await leave(number, member, members)
        await makeAll(members, options, false)
      })
    },
    async segment(networkId) {
      const waitMs = options.waitMs ?? 5000
      const givesUpAt = performance.now() + waitMs
      for (;;) {
        const member = memberOf(networkId)
        if (member !== undefined && typeof member.state === 'object')
          throw new DialtoneError(errorCode, member.state.fault)
        if (member?.state === 'ready') return toSegment(member)
        if (performance.now() > givesUpAt)
          throw new DialtoneError(
            errorCode,
            `this host has not been told of the network ${networkId} within ${waitMs} ms`,
          )
        await delay(20)
      }
    },
    settings(networkId) {
      const network = memberOf(networkId)?.network
      if (network === undefined) throw new DialtoneError(errorCode, `this host doesn't have the network ${networkId}`)
      const { number, uplink, subnet, gateway } = network
      return {
        prefixLength: prefixLengthOf(subnet),
        gateway: uplink === 'none' ? '' : gateway,
        askFrom: askingAddress(number),
      }
    },
    present: () => [...members.values()].map(({ network }) => network.networkId),
    async [Symbol.asyncDispose]() {
      clearInterval(repair)
      await lastTurn
      for (const { dhcp } of members.values()) await dhcp[Symbol.asyncDispose]()
    },
  }
}

function toSegment({ network, dhcp }: Member): Segment {
  const { number, mtu, uplink } = network
  return {
    bridge: segmentNames(number).bridge,
    mtu,
    dhcp,
    route: async (address, isHere) => {
      if (uplink === 'routed') await routeTo(number, address, isHere)
    },
  }
}

/** What changes of a network besides its forwarding and names makes it another one: its server is a new one. */
function enter(network: HostNetwork, members: Map<number, Member>, options: VirtualSegmentsOptions): void {
  const before = members.get(network.number)
  if (before !== undefined && identityOf(before.network) === identityOf(network)) {
    before.network = network
    return
  }
  void before?.dhcp[Symbol.asyncDispose]()
  members.set(network.number, { network, dhcp: createDhcpServer(dhcpOptions(network, options)), state: 'pending' })
}

async function leave(number: number, { dhcp }: Member, members: Map<number, Member>): Promise<void> {
  await dhcp[Symbol.asyncDispose]()
  members.delete(number)
}

/** `isThorough`: also what was made already is looked at; else an agent that starts with many networks would be silent for seconds. */
async function makeAll(
  members: ReadonlyMap<number, Member>,
  options: VirtualSegmentsOptions,
  isThorough: boolean,
): Promise<void> {
  const links = await listLinks()
  // Before the first way to this host is there; what is wrong with them keeps every network from being made.
  const hostRules = members.size > 0 ? ensureHostRules() : Promise.resolve()
  hostRules.catch(() => undefined)
  for (const member of members.values()) {
    try {
      await hostRules
      await makeOne(member, links, { ...options, isThorough })
      member.state = 'ready'
    } catch (error) {
      const fault = faultOf(member.network, error)
      if (member.state === 'pending') options.logger.error('network.not-made', { network: member.network.name, error })
      member.state = { fault }
    }
  }
  for (const number of unwantedNumbers(links, new Set(members.keys()))) await removeOne(number, options)
}

async function makeOne(
  { network, dhcp }: Member,
  links: Links,
  options: VirtualSegmentsOptions & { readonly isThorough: boolean },
): Promise<void> {
  const { number } = network
  const { bridge, trunk } = segmentNames(number)
  const commands = linkCommands(network, links)
  if (commands.length > 0) {
    await runIpCommands(commands)
    // No address of this host's own in the machines' network; refused where the host has no IPv6, which is as good.
    const quiet = [bridge, trunk].map((name) => `link set dev ${name} addrgenmode none`)
    await runIpCommands(quiet).catch(() => undefined)
  }
  if (network.segment.kind === 'vxlan') {
    const shown = await runCommand('bridge', ['-json', 'fdb', 'show', 'dev', trunk], { timeoutMs, errorCode })
    const changes = forwardingCommands(network, forwardingSchema.parse(JSON.parse(shown)))
    const input = `${changes.join('\n')}\n`
    if (changes.length > 0) await runCommand('bridge', ['-batch', '-'], { timeoutMs, errorCode, input })
  }
  const folder = folderOf(number, options)
  await mkdir(folder, { recursive: true, mode: 0o755 })
  // Written last: what it says was made as a whole, if the namespace is still there.
  const made = join(folder, 'made')
  const isMade = (await readFile(made, 'utf8').catch(() => '')) === identityOf(network)
  const isKept = isMade && !options.isThorough && (await hasRouter(network, handleOf(number, options), links))
  const isNew = !isKept && (await ensureRouter(network, handleOf(number, options), links))
  // One that runs in the namespace before it answers nobody.
  if (isNew) await dhcp.stop()
  await dhcp.setNames(renderNames(network))
  await dhcp.update((hosts) => hosts)
  if (!isMade) await writeFile(made, identityOf(network))
}

/** What makes it another network when it changes; not who is where. */
function identityOf(network: HostNetwork): string {
  return JSON.stringify({ ...network, peers: [], forwarding: [], names: [] })
}

async function removeOne(number: number, options: VirtualSegmentsOptions): Promise<void> {
  const { bridge, trunk } = segmentNames(number)
  const dhcp = createDhcpServer({ ...placeOf(number, options), subnet: '', prefixLength: 0 })
  await dhcp.stop()
  await removeCgroup(join(options.cgroupDirectory, cgroupNameOf(number)))
  await removeRouter(number, handleOf(number, options))
  for (const name of [trunk, bridge]) await deleteInterface(name)
  await rm(folderOf(number, options), { recursive: true, force: true })
}

async function listLinks(): Promise<Links> {
  const shown = await runCommand('ip', ['-json', '-details', 'link', 'show'], { timeoutMs, errorCode })
  return linksSchema.parse(JSON.parse(shown))
}

/** What a kernel without the wanted kind of device says is hard to understand. */
function faultOf({ name, segment }: HostNetwork, error: unknown): string {
  const words = error instanceof Error ? error.message : String(error)
  const isUnknown = /Unknown device type|Operation not supported/.test(words)
  if (isUnknown && segment.kind === 'vlan')
    return `the network ${name} can't be on this host: its kernel has no VLANs (CONFIG_VLAN_8021Q)`
  if (isUnknown) return `the network ${name} can't be on this host: its kernel has no VXLAN, veth or bridges (${words})`
  return `the network ${name} can't be made on this host: ${words}`
}

function dhcpOptions(network: HostNetwork, options: VirtualSegmentsOptions) {
  const { number, subnet, gateway, mtu, domain, uplink, prefix6 } = network
  return {
    ...placeOf(number, options),
    subnet,
    prefixLength: prefixLengthOf(subnet),
    mtu,
    dns: { server: gateway, domain, isForwarding: uplink !== 'none' },
    // Who can get nowhere through the router needs no route there, which would hide that of another card.
    ...(uplink === 'none' ? {} : { gateway }),
    ...(prefix6 === null ? {} : { prefix6 }),
  }
}

function prefixLengthOf(subnet: string): number {
  return Number(subnet.split('/')[1])
}

function placeOf(number: number, options: VirtualSegmentsOptions) {
  const { cgroupDirectory, leaseSeconds, logger } = options
  return {
    bridge: routerInterface,
    namespace: handleOf(number, options),
    cgroupDirectory,
    cgroupName: cgroupNameOf(number),
    runDirectory: folderOf(number, options),
    leaseSeconds,
    logger,
  }
}

function cgroupNameOf(number: number): string {
  return `dnsmasq-${number}`
}

function folderOf(number: number, { runDirectory }: VirtualSegmentsOptions): string {
  return join(runDirectory, `network-${number}`)
}

function handleOf(number: number, { runDirectory }: VirtualSegmentsOptions): string {
  return join(runDirectory, `router-${number}`)
}

/** A hosts file: each machine by its name, alone and in the domain. */
function renderNames({ names, domain }: HostNetwork): string {
  return names
    .flatMap(({ name, address, address6 }) =>
      [address, ...(address6 === null ? [] : [address6])].map((it) => [it, name]),
    )
    .map(([address, name]) => `${address} ${name}.${domain} ${name}\n`)
    .join('')
}
