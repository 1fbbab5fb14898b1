/** libvirt's live migration between two hosts that share the folder of the disk: the guest goes to and fro. */
import { setTimeout as delay } from 'node:timers/promises'
import { homeOf } from '../../../src/laboratory/laboratory-folders.ts'
import { installPeerPackages, libvirtPackages } from '../debian-peer-packages.ts'
import { longestGap } from '../longest-gap.ts'
import type { PeerOptions } from '../peer.ts'
import { openPeerNetwork } from '../peer-network.ts'
import { createTinyClient, findTinyGuest } from '../tiny-guest.ts'
import { openLibvirtHost, virsh } from './libvirt-host.ts'
import { startGuest } from './start-guest.ts'

export type VirshMigration = AsyncDisposable & {
  /** Of the guest. */
  readonly address: string
  /** To the other host: the longest time without an answer, and how long the command took. */
  move(): Promise<{ readonly clientGapMs: number; readonly totalMs: number }>
}

const quietMs = 700

/** Installs libvirt if need be; the guest answers when this resolves. */
export async function openVirshMigration({ memoryMiB, note }: PeerOptions): Promise<VirshMigration> {
  await installPeerPackages(libvirtPackages, note)
  const home = homeOf(process.env)
  const guest = await findTinyGuest(home)
  await using undo = new AsyncDisposableStack()
  const network = undo.use(await openPeerNetwork(home))
  const first = undo.use(await openLibvirtHost(network, 1, { isListening: true }))
  const second = undo.use(await openLibvirtHost(network, 2, { isListening: true }))
  const { domain } = await startGuest(first, { network, guest, memoryMiB })
  let [here, there] = [first, second]
  const open = undo.move()
  return {
    address: network.guest.address,
    async move() {
      using client = createTinyClient(network.guest)
      await delay(quietMs)
      const beganAtMs = performance.now()
      // Only known network file systems count as shared for libvirt: this one is a folder that both hosts see.
      const how = ['--live', '--persistent', '--undefinesource', '--unsafe', '--auto-converge']
      const to = [`qemu+tcp://${there.address}/system`, '--migrateuri', `tcp://${there.address}`]
      await virsh(here, ['migrate', ...how, domain, ...to])
      const totalMs = performance.now() - beganAtMs
      await delay(quietMs)
      ;[here, there] = [there, here]
      return { clientGapMs: longestGap(client.answers), totalMs }
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
