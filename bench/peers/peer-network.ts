/** The network that a peer's hosts and the outside client meet in: a bridge in a namespace of its own, with a cable to the machine. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addressesInUse } from '../../src/laboratory/addresses-in-use.ts'
import { chooseSubnet, hardwareAddressFor, hostAddress } from '../../src/laboratory/choose-subnet.ts'
import { bridgeCommands } from '../../src/laboratory/fabric.ts'
import { addNetworkNamespace, runIpCommands } from '../../src/linux/network-namespace.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { type HeldNamespaces, holdNamespaces } from './held-namespaces.ts'

export type PeerNetwork = AsyncDisposable & {
  /** `dtpeer-…`: the machine's interface into it, and the beginning of the names of all its namespaces. */
  readonly name: string
  readonly fabricNamespace: string
  /** For files of all its hosts; gone with the network. */
  readonly folder: string
  readonly subnet: string
  readonly prefixLength: number
  readonly guest: PeerGuestCard
}

type NetworkPlan = Omit<PeerNetwork, typeof Symbol.asyncDispose>

/** What the guest gets by DHCP, and what its card must be. */
export type PeerGuestCard = { readonly name: string; readonly address: string; readonly macAddress: string }

const guestName = 'peer'
const clearAway = join(import.meta.dirname, 'clear-away.sh')

/** Its hosts' namespaces go with it. Throws `machine-setup` or `network-failed` when it can't be made, with nothing left behind. */
export async function openPeerNetwork(home: string): Promise<PeerNetwork> {
  // At most 15 characters, as an interface's.
  const name = `dtpeer-${randomBytes(4).toString('hex')}`
  const addresses = chooseSubnet(name, await addressesInUse())
  if (addresses === undefined) throw new DialtoneError('machine-setup', 'no subnet of 10.64.0.0/10 is free')
  const { subnet, prefixLength, gateway } = addresses
  const address = addresses.vmAddresses.from
  const guest = { name: guestName, address, macAddress: hardwareAddressFor(address) }
  const network = {
    name,
    fabricNamespace: `${name}-fab`,
    folder: join(home, 'peers', name),
    subnet,
    prefixLength,
    guest,
  }
  await using undo = new AsyncDisposableStack()
  undo.defer(removeAtTheEnd(name, network.folder))
  await mkdir(network.folder, { recursive: true })
  await makeFabric(network, gateway)
  undo.use(await serveAddresses(network))
  const open = undo.move()
  return { ...network, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

async function makeFabric(network: NetworkPlan, gateway: string): Promise<void> {
  const { name, fabricNamespace, subnet, prefixLength, guest } = network
  await addNetworkNamespace(fabricNamespace)
  await runIpCommands([...bridgeCommands(), `address add ${hostAddress(subnet, 0)}/${prefixLength} dev br0`], {
    namespace: fabricNamespace,
  })
  await runIpCommands([
    `link add dev ${name} type veth peer name up0 netns ${fabricNamespace}`,
    `address add ${gateway}/${prefixLength} dev ${name}`,
    `link set dev ${name} up`,
    // The client knows where to ask all the time: the kernel would look for a silent neighbour once a second only.
    `neighbour replace ${guest.address} lladdr ${guest.macAddress} dev ${name} nud permanent`,
  ])
  await runIpCommands(['link set dev up0 master br0 up'], { namespace: fabricNamespace })
}

/** DHCP for the guest, wherever it runs. */
function serveAddresses(network: NetworkPlan): Promise<HeldNamespaces> {
  const { fabricNamespace, subnet, guest } = network
  const dnsmasq = [
    ...['dnsmasq', '--conf-file=/dev/null', '--interface=br0', '--bind-interfaces', '--port=0', '--no-resolv'],
    ...['--no-hosts', '--no-ping', '--dhcp-authoritative', '--leasefile-ro', '--dhcp-option=3', '--dhcp-option=6'],
    `--dhcp-range=${subnet.replace(/\/.*$/, '')},static,infinite`,
    ...[`--dhcp-host=${guest.macAddress},${guest.address},${guest.name},infinite`, '--pid-file=', '--quiet-dhcp'],
  ]
  // It goes into the background once it listens.
  return holdNamespaces(fabricNamespace, ['/bin/sh', '-c', '"$@" && echo ready && cat', 'sh', ...dnsmasq])
}

/** Whatever happens to this process, the network is removed; resolves with what removes it now. */
function removeAtTheEnd(name: string, folder: string): () => Promise<void> {
  const keeper = spawn('/bin/sh', [clearAway, name, folder], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
  const ended = new Promise<number | null>((resolve) => {
    keeper.once('error', () => resolve(null))
    keeper.once('exit', resolve)
  })
  keeper.stdin.on('error', () => undefined)
  return async () => {
    keeper.stdin.end()
    const code = await ended
    if (code !== 0) throw new DialtoneError('machine-setup', `the network ${name} of a peer could not be removed`)
  }
}
