/**
 * The machines' networks on Linux bridges, in the network namespace of this process: the flat one on a bridge that exists already, and those
 * that are made as the leader plans them (`virtual-segments.ts`). Each card has a tap device on its network's bridge; addresses are answered
 * by `dhcp-server.ts`.
 */
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { BlockList } from 'node:net'
import { z } from 'zod'
import { deleteInterface, runIpCommands } from '../../../linux/network-namespace.ts'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { macAddressSchema } from '../../../model/hardware.ts'
import { flatNetworkId, type NetworkId, type VmId } from '../../../model/ids.ts'
import { numberOfTap } from '../../machines/machine-names.ts'
import type { Network, NetworkSettings } from '../network.ts'
import { type DhcpEntry, dhcpEntrySchema, replaceEntries, withEntry, withoutMachine } from './dhcp-hosts.ts'
import { createDhcpServer, type DhcpServerOptions, networkAddress } from './dhcp-server.ts'
import type { Segment } from './segment.ts'
import { createTapLimits } from './tap-limits.ts'
import { createVirtualSegments, type VirtualSegmentsOptions } from './virtual-segments.ts'

export type BridgeNetworkOptions = DhcpServerOptions &
  Pick<VirtualSegmentsOptions, 'repairMs' | 'waitMs' | 'metadata'> & {
    /** This host's own address on the bridge, from which DHCP answers; put there when it is missing. */
    readonly hostAddress: string
  }

const commandTimeoutMs = 5000
const tapDevice = '/dev/net/tun'
const everybodysReadWrite = 0o666
/** IFF_UP of netdevice(7). */
const interfaceUp = 0x1

const linksSchema = z.tuple([z.object({ address: macAddressSchema })])

/** Taps are opened by name, so the hypervisor must be started with the rights of root. Disposing of it leaves taps and DHCP as they are. */
export function createBridgeNetwork(options: BridgeNetworkOptions): Network & AsyncDisposable {
  const dhcp = createDhcpServer(options)
  let prepared: Promise<void> | undefined
  const prepare = () => {
    prepared ??= prepareBridge(options).catch((error: unknown) => {
      prepared = undefined
      throw error
    })
    return prepared
  }
  const flat: Segment = { bridge: options.bridge, mtu: options.mtu, dhcp, route: async () => undefined }
  const virtual = createVirtualSegments(options)
  const segmentOf = async (networkId: NetworkId): Promise<Segment> => {
    if (networkId !== flatNetworkId) return virtual.segment(networkId)
    await prepare()
    return flat
  }
  return {
    settingsOf: async (networkId) =>
      networkId === flatNetworkId ? flatSettings(options) : virtual.settings(networkId),
    configure: (networks) => virtual.configure(networks),
    limit: createTapLimits().limit,
    async connect({ tapName, networkId, userId, ...card }) {
      assertOurs(tapName)
      const entry = dhcpEntrySchema.parse(card)
      const segment = await segmentOf(networkId)
      await segment.dhcp.update((hosts) => withEntry(hosts, entry))
      await segment.route(entry.address, true)
      await makeTap(tapName, { ...segment, state: 'up', userId })
    },
    async prepareTap({ tapName, networkId }) {
      assertOurs(tapName)
      await makeTap(tapName, { ...(await segmentOf(networkId)), state: 'down' })
    },
    async plug({ tapName, networkId, ...card }) {
      assertOurs(tapName)
      const entry = dhcpEntrySchema.parse(card)
      const segment = await segmentOf(networkId)
      await Promise.all([
        segment.dhcp.update((hosts) => withEntry(hosts, entry)),
        segment.route(entry.address, true),
        bringUp(tapName),
      ])
    },
    async removeTap(tapName) {
      assertOurs(tapName)
      await deleteInterface(tapName)
    },
    async disconnect({ vmId, tapName, networkId }) {
      assertOurs(tapName)
      // A network that isn't here any more answers nobody.
      if (networkId === flatNetworkId) await dhcp.update((hosts) => withoutMachine(hosts, { vmId }))
      else if (virtual.present().includes(networkId)) await forget(await virtual.segment(networkId), vmId)
      await deleteInterface(tapName)
    },
    listTaps: async () => (await linkNames()).filter((name) => numberOfTap(name) !== undefined),
    async adopt(cards) {
      const entriesIn = (wanted: NetworkId) =>
        cards.filter(({ networkId }) => networkId === wanted).map((card) => dhcpEntrySchema.parse(card))
      await prepare()
      await dhcp.update((hosts) => replaceEntries(hosts, entriesIn(flatNetworkId)))
      for (const networkId of virtual.present())
        await adoptEntries(await virtual.segment(networkId), entriesIn(networkId))
    },
    async [Symbol.asyncDispose]() {
      await virtual[Symbol.asyncDispose]()
      await dhcp[Symbol.asyncDispose]()
    },
  }
}

async function adoptEntries({ dhcp, route }: Segment, entries: readonly DhcpEntry[]): Promise<void> {
  await dhcp.update((hosts) => replaceEntries(hosts, entries))
  for (const { address } of entries) await route(address, true)
}

function flatSettings({ prefixLength, gateway = '' }: BridgeNetworkOptions): NetworkSettings {
  return { prefixLength, gateway, askFrom: null }
}

/** The address of the machine is free again, and nothing is sent here for it. */
async function forget({ dhcp, route }: Segment, vmId: VmId): Promise<void> {
  const left: string[] = []
  await dhcp.update((hosts) => {
    left.push(...hosts.entries.filter((entry) => entry.vmId === vmId).map(({ address }) => address))
    return withoutMachine(hosts, { vmId })
  })
  for (const address of left) await route(address, false)
}

async function prepareBridge(options: BridgeNetworkOptions): Promise<void> {
  const { bridge, hostAddress, prefixLength, runDirectory } = options
  const network = new BlockList()
  network.addSubnet(networkAddress(options.subnet), prefixLength)
  if (!network.check(hostAddress)) {
    // dnsmasq would start and answer nobody.
    const sentence = `This host's address ${hostAddress} is not in the machines' network ${options.subnet}`
    throw new DialtoneError('machine-setup', sentence)
  }
  await mkdir(runDirectory, { recursive: true })
  if (!(await linkNames()).includes(bridge)) {
    throw new DialtoneError('network-failed', `The bridge ${bridge} does not exist on this host`)
  }
  // A bridge takes the lowest MAC of its ports until it is given one; then the host's own address would move with every tap.
  const shown = await runCommand('ip', ['-json', 'link', 'show', 'dev', bridge], {
    timeoutMs: commandTimeoutMs,
    errorCode: 'network-failed',
  })
  const [link] = linksSchema.parse(JSON.parse(shown))
  await runIpCommands([
    `link set dev ${bridge} address ${link.address} up`,
    `address replace ${hostAddress}/${prefixLength} dev ${bridge}`,
  ])
}

type TapOptions = {
  readonly mtu?: number | undefined
  readonly bridge: string
  readonly state: 'up' | 'down'
  /** Who opens it, where that is not root. */
  readonly userId?: number | undefined
}

/** A port of the bridge in either state: one that is down hears nothing and queues nothing up. */
async function makeTap(tapName: string, { mtu, bridge, state, userId }: TapOptions): Promise<void> {
  const size = mtu === undefined ? '' : ` mtu ${mtu}`
  const owner = userId === undefined ? '' : ` user ${userId}`
  if (userId !== undefined) await letUsersOpenTaps()
  const make = (await linkNames()).includes(tapName) ? [] : [`tuntap add dev ${tapName} mode tap${owner}`]
  await runIpCommands([...make, `link set dev ${tapName} master ${bridge}${size} ${state}`])
}

/**
 * As distributions have it: whoever opens the device gets only the taps that are theirs. Here and there it is root's alone, and a machine
 * that runs, which is root no more, could not get a card.
 */
async function letUsersOpenTaps(): Promise<void> {
  const { mode } = await stat(tapDevice)
  if ((mode & everybodysReadWrite) !== everybodysReadWrite) await chmod(tapDevice, everybodysReadWrite)
}

/**
 * By one write where /sys shows this network namespace: a program of its own would take a recovery ten milliseconds. Reading the carrier
 * makes the kernel catch up with it (Linux 6.8): else a tap whose process began within the last second would forward nothing until the
 * second is over, since changes of carriers are worked off once a second (linkwatch).
 */
async function bringUp(tapName: string): Promise<void> {
  const folder = `/sys/class/net/${tapName}`
  try {
    const flags = Number(await readFile(`${folder}/flags`, 'utf8'))
    await writeFile(`${folder}/flags`, `0x${(flags | interfaceUp).toString(16)}`)
    await readFile(`${folder}/carrier`)
  } catch {
    await runIpCommands([`link set dev ${tapName} up`])
  }
}

function assertOurs(tapName: string): void {
  assert(numberOfTap(tapName) !== undefined, `${tapName} is not the name of a tap of ours`)
}

/** Names of the links in this network namespace; read in process, since it is wanted before each start of a machine. */
async function linkNames(): Promise<string[]> {
  const table = await readFile('/proc/self/net/dev', 'utf8')
  return table.split('\n').flatMap((line) => {
    const name = /^\s*([^\s:]+):/.exec(line)?.[1]
    return name === undefined ? [] : [name]
  })
}
