/**
 * The network of one host: a namespace with the bridge `br0`, plugged into the fabric by a cable. Made anew at each boot and deleted at
 * each loss of power: the kernel's sockets of a dead host would otherwise send their last bytes once the link is up again.
 */
import {
  addNetworkNamespace,
  deleteInterface,
  deleteNetworkNamespace,
  runIpCommands,
} from '../../linux/network-namespace.ts'
import { hardwareAddressFor } from '../choose-subnet.ts'
import { bridgeCommands } from '../fabric.ts'
import { fabricNamespaceOf, hostNamespaceOf } from '../laboratory-names.ts'

export type HostNetwork = {
  readonly laboratory: string
  readonly host: string
  readonly address: string
  readonly prefixLength: number
}

/** The host's port on the fabric has the host's name, and stays down. */
export async function makeHostNetwork(network: HostNetwork): Promise<void> {
  const { laboratory, host } = network
  const namespace = hostNamespaceOf(laboratory, host)
  await addNetworkNamespace(namespace)
  await runIpCommands(
    [`link add dev ${host} type veth peer name up0 netns ${namespace}`, `link set dev ${host} master br0`],
    { namespace: fabricNamespaceOf(laboratory) },
  )
  await runIpCommands(
    [
      ...bridgeCommands(hardwareAddressFor(network.address)),
      'link set dev up0 master br0 up',
      `address add ${network.address}/${network.prefixLength} dev br0`,
    ],
    { namespace },
  )
}

/** Also a half-made one, and one that doesn't exist. */
export async function removeHostNetwork(laboratory: string, host: string): Promise<void> {
  await deleteInterface(host, fabricNamespaceOf(laboratory))
  await deleteNetworkNamespace(hostNamespaceOf(laboratory, host))
}
