/** One guest under libvirt that serves, with what its failures are measured by. */
import { homeOf } from '../../../src/laboratory/laboratory-folders.ts'
import { installPeerPackages, libvirtPackages } from '../debian-peer-packages.ts'
import type { PeerOptions } from '../peer.ts'
import type { PeerHost } from '../peer-host.ts'
import { openPeerNetwork, type PeerGuestCard } from '../peer-network.ts'
import { findTinyGuest } from '../tiny-guest.ts'
import { openLibvirtHost, qemuPidOf, watchStops } from './libvirt-host.ts'
import { startGuest } from './start-guest.ts'

export type VirshMachine = AsyncDisposable & {
  readonly host: PeerHost
  readonly domain: string
  readonly disk: string
  readonly card: PeerGuestCard
  /** SIGKILL for its QEMU; resolves with the moment of it once libvirt has told that the domain stopped. */
  killQemu(): Promise<number>
}

const stopToldWithinMs = 10_000
/** Installs libvirt if need be, and starts a guest of that size which answers when this resolves. */
export async function openVirshMachine({ memoryMiB, note }: PeerOptions): Promise<VirshMachine> {
  await installPeerPackages(libvirtPackages, note)
  const home = homeOf(process.env)
  const guest = await findTinyGuest(home)
  await using undo = new AsyncDisposableStack()
  const network = undo.use(await openPeerNetwork(home))
  const host = undo.use(await openLibvirtHost(network, 1))
  const { domain, disk } = await startGuest(host, { network, guest, memoryMiB })
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
