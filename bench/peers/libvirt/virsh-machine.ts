/** One guest under libvirt that serves, with what its failures are measured by. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { homeOf } from '../../../src/laboratory/laboratory-folders.ts'
import { installPeerPackages, libvirtPackages } from '../debian-peer-packages.ts'
import type { PeerOptions } from '../peer.ts'
import type { PeerHost } from '../peer-host.ts'
import { openPeerNetwork, type PeerGuestCard } from '../peer-network.ts'
import { createTinyClient, findTinyGuest } from '../tiny-guest.ts'
import { domainXml } from './domain-xml.ts'
import { makeOverlay, openLibvirtHost, qemuPidOf, virsh, watchStops } from './libvirt-host.ts'

export type VirshMachine = AsyncDisposable & {
  readonly host: PeerHost
  readonly domain: string
  readonly disk: string
  readonly card: PeerGuestCard
  /** SIGKILL for its QEMU; resolves with the moment of it once libvirt has told that the domain stopped. */
  killQemu(): Promise<number>
}

const stopToldWithinMs = 10_000
/** An emulated guest on a busy machine. */
export const bootWithinMs = 120_000

/** Installs libvirt if need be, and starts a guest of that size which answers when this resolves. */
export async function openVirshMachine({ memoryMiB, note }: PeerOptions): Promise<VirshMachine> {
  await installPeerPackages(libvirtPackages, note)
  const home = homeOf(process.env)
  const guest = await findTinyGuest(home)
  await using undo = new AsyncDisposableStack()
  const network = undo.use(await openPeerNetwork(home))
  const host = undo.use(await openLibvirtHost(network, 1))
  const domain = network.guest.name
  const disk = join(network.folder, 'disk.qcow2')
  await makeOverlay(disk, guest.rootDisk)
  const definition = join(network.folder, 'domain.xml')
  await writeFile(definition, domainXml({ guest, card: network.guest, memoryMiB, disk }))
  await virsh(host, ['define', definition])
  await virsh(host, ['start', domain])
  {
    using client = createTinyClient(network.guest)
    await client.untilCorrectAfter(0, { deadlineMs: bootWithinMs })
  }
  const watch = undo.use(await watchStops(host, domain))
  const open = undo.move()
  return {
    ...{ host, domain, disk, card: network.guest },
    async killQemu() {
      const pid = await qemuPidOf(host, domain)
      const killedAtMs = performance.now()
      process.kill(pid, 'SIGKILL')
      await watch.untilStopped(stopToldWithinMs)
      return killedAtMs
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
