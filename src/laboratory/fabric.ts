/** The underlay of a laboratory: one bridge in a namespace of its own, with one cable to the machine and one to each host. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { mountsBelow, unmount } from '../linux/mounts.ts'
import {
  addNetworkNamespace,
  deleteInterface,
  deleteNetworkNamespace,
  listNetworkNamespaces,
  networkNamespacePath,
  runIpCommands,
} from '../linux/network-namespace.ts'
import { runCommand } from '../linux/run-command.ts'
import { type LaboratoryFolders, laboratoryFolders } from './laboratory-folders.ts'
import { fabricNamespaceOf, interfaceOf, isNamespaceOf, ownerMarkOf } from './laboratory-names.ts'
import type { LaboratoryRecord } from './laboratory-record.ts'

/** A bridge that forwards at once and doesn't change its hardware address with its ports. */
export function bridgeCommands(hardwareAddress?: string): string[] {
  const address = hardwareAddress === undefined ? '' : `address ${hardwareAddress} `
  return [`link add dev br0 ${address}type bridge stp_state 0 forward_delay 0 mcast_snooping 0`, 'link set dev br0 up']
}

/** Makes the fabric and the machine's interface into it. Nothing else of the machine's network changes. */
export async function makeFabric(record: LaboratoryRecord, folders: LaboratoryFolders): Promise<void> {
  const namespace = fabricNamespaceOf(record.name)
  const machine = interfaceOf(record.name)
  await addNetworkNamespace(namespace)
  await runIpCommands(bridgeCommands(), { namespace })
  await runIpCommands([
    `link add dev ${machine} type veth peer name up0 netns ${namespace}`,
    `link set dev ${machine} alias "${ownerMarkOf(folders.root)}"`,
    `address add ${record.gateway}/${record.prefixLength} dev ${machine}`,
  ])
  // No link-local address and no router solicitations; refused where the machine has no IPv6, which is as good.
  await runIpCommands([`link set dev ${machine} addrgenmode none`]).catch(() => undefined)
  await runIpCommands([`link set dev ${machine} up`])
  await runIpCommands(['link set dev up0 master br0 up'], { namespace })
  await mkdir(folders.fabricSysfs, { recursive: true })
  const mount = ['mount', '-t', 'sysfs', 'sysfs', folders.fabricSysfs]
  await runCommand('nsenter', [`--net=${networkNamespacePath(namespace)}`, ...mount], { timeoutMs: 10_000 })
}

/** Deletes every interface and namespace of the laboratory, and the mount of its sysfs; also a half-made fabric. */
export async function removeFabric(laboratory: string, home: string): Promise<void> {
  const { fabricSysfs } = laboratoryFolders(home, laboratory)
  for (const point of await mountsBelow(fabricSysfs)) await unmount(point)
  await deleteInterface(interfaceOf(laboratory))
  const namespaces = (await listNetworkNamespaces()).filter((name) => isNamespaceOf(laboratory, name))
  // The cables of hosts go with the fabric's end of them.
  for (const name of namespaces.sort()) await deleteNetworkNamespace(name)
}

/** The file that switches a host's port on the fabric. */
export function portFlagsPath(folders: LaboratoryFolders, host: string): string {
  return join(folders.fabricSysfs, 'class', 'net', host, 'flags')
}
