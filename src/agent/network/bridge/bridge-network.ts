/**
 * The machines' network on a Linux bridge that exists already, in the network namespace of this process. Each machine has a tap device
 * on it; addresses are answered by `dhcp-server.ts`.
 */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { BlockList } from 'node:net'
import { z } from 'zod'
import { deleteInterface, runIpCommands } from '../../../linux/network-namespace.ts'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { macAddressSchema } from '../../../model/hardware.ts'
import { numberOfTap } from '../../machines/machine-names.ts'
import type { Network } from '../network.ts'
import { dhcpEntrySchema, replaceEntries, withEntry, withoutMachine } from './dhcp-hosts.ts'
import { createDhcpServer, type DhcpServerOptions, networkAddress } from './dhcp-server.ts'

export type BridgeNetworkOptions = DhcpServerOptions & {
  /** This host's own address on the bridge, from which DHCP answers; put there when it is missing. */
  readonly hostAddress: string
}

const commandTimeoutMs = 5000

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
  return {
    async connect({ tapName, ...card }) {
      assert(numberOfTap(tapName) !== undefined, `${tapName} is not the name of a tap of ours`)
      const entry = dhcpEntrySchema.parse(card)
      await prepare()
      await dhcp.update((hosts) => withEntry(hosts, entry))
      await makeTap(tapName, options)
    },
    async disconnect({ vmId, tapName }) {
      assert(numberOfTap(tapName) !== undefined, `${tapName} is not the name of a tap of ours`)
      await dhcp.update((hosts) => withoutMachine(hosts, { vmId }))
      await deleteInterface(tapName)
    },
    listTaps: async () => (await linkNames()).filter((name) => numberOfTap(name) !== undefined),
    async adopt(cards) {
      const entries = cards.map((card) => dhcpEntrySchema.parse(card))
      await prepare()
      await dhcp.update((hosts) => replaceEntries(hosts, entries))
    },
    [Symbol.asyncDispose]: () => dhcp[Symbol.asyncDispose](),
  }
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

async function makeTap(tapName: string, options: BridgeNetworkOptions): Promise<void> {
  const mtu = options.mtu === undefined ? '' : ` mtu ${options.mtu}`
  const make = (await linkNames()).includes(tapName) ? [] : [`tuntap add dev ${tapName} mode tap`]
  await runIpCommands([...make, `link set dev ${tapName} master ${options.bridge}${mtu} up`])
}

/** Names of the links in this network namespace; read in process, since it is wanted before each start of a machine. */
async function linkNames(): Promise<string[]> {
  const table = await readFile('/proc/self/net/dev', 'utf8')
  return table.split('\n').flatMap((line) => {
    const name = /^\s*([^\s:]+):/.exec(line)?.[1]
    return name === undefined ? [] : [name]
  })
}
