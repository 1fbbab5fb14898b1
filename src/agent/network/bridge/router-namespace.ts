/**
 * The router of a network of its own on this host: a network namespace with the network's gateway address, in which dnsmasq answers. So
 * networks may have the same addresses, and their machines reach of this host only what the router lets them. It outlives the agent; its
 * handle is a file in the run directory.
 */
import { mkdir, statfs, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { mountsBelow, unmount } from '../../../linux/mounts.ts'
import { deleteInterface, runIpCommands } from '../../../linux/network-namespace.ts'
import { runCommand } from '../../../linux/run-command.ts'
import type { HostNetwork } from '../../../model/agent-protocol/host-network.ts'
import { routerAddress6 } from '../../../model/network-address6.ts'
import { ensureWay, removeWay } from './router-way.ts'
import { routerInterface, routerMac, segmentNames, uplinkRouterAddress } from './segment-names.ts'
import { type Links, portCommands } from './segment-plan.ts'

const timeoutMs = 5000
const errorCode = 'network-failed' as const
/** NSFS_MAGIC of statfs(2): what a file is that a namespace is mounted on. */
const namespaceMagic = 0x6e736673

/** Makes what is missing of it, and says whether all of it was. `links` are those of this host. */
export async function ensureRouter(network: HostNetwork, handle: string, links: Links): Promise<boolean> {
  const { number, mtu } = network
  const names = segmentNames(number)
  const find = (name: string) => links.find(({ ifname }) => ifname === name)
  const isThere = await hasNamespace(handle)
  if (!isThere) {
    // Their other ends are in a namespace that nobody can enter any more.
    for (const name of [names.router, names.uplink]) if (find(name) !== undefined) await deleteInterface(name)
    await makeNamespace(handle)
  }
  const port = isThere ? find(names.router) : undefined
  const makePort = `link add dev ${names.router} mtu ${mtu} type veth peer name ${routerInterface} netns ${handle}`
  await runIpCommands([
    ...(port === undefined ? [makePort] : []),
    ...portCommands(names.router, { bridge: names.bridge, mtu, port }),
  ])
  await runIpCommands(insideCommands(network), { namespace: handle })
  await ensureWay(network, handle, isThere && find(names.uplink) !== undefined)
  return !isThere
}

/** True when its namespace and its devices on this host are there. */
export async function hasRouter({ number }: HostNetwork, handle: string, links: Links): Promise<boolean> {
  const names = segmentNames(number)
  const isThere = [names.router, names.uplink].every((name) => links.some(({ ifname }) => ifname === name))
  return isThere && (await hasNamespace(handle))
}

/** Missing parts are fine. What runs in it has to be ended before. */
export async function removeRouter(number: number, handle: string): Promise<void> {
  await deleteInterface(segmentNames(number).router)
  await removeWay(number)
  for (const point of await mountsBelow(handle)) await unmount(point)
}

/** The way to a machine whose address is routed, or its end. */
export async function routeTo(number: number, address: string, isHere: boolean): Promise<void> {
  const { uplink } = segmentNames(number)
  const way = `${address}/32 via ${uplinkRouterAddress(number)} dev ${uplink}`
  if (isHere) return runIpCommands([`route replace ${way}`])
  await runIpCommands([`route del ${way}`]).catch(() => undefined)
}

async function hasNamespace(handle: string): Promise<boolean> {
  const facts = await statfs(handle).catch(() => undefined)
  return facts?.type === namespaceMagic
}

async function makeNamespace(handle: string): Promise<void> {
  await mkdir(dirname(handle), { recursive: true })
  await writeFile(handle, '', { flag: 'a' })
  await runCommand('unshare', [`--net=${handle}`, 'ip', 'link', 'set', 'dev', 'lo', 'up'], { timeoutMs, errorCode })
}

function insideCommands({ number, mtu, subnet, gateway, prefix6 }: HostNetwork): string[] {
  const prefixLength = subnet.split('/')[1]
  return [
    `link set dev ${routerInterface} address ${routerMac(number)} mtu ${mtu} up`,
    `address replace ${gateway}/${prefixLength} dev ${routerInterface}`,
    ...(prefix6 === null ? [] : [`address replace ${routerAddress6(prefix6)}/64 dev ${routerInterface} nodad`]),
  ]
}
