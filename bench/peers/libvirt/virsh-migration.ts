/** libvirt's live migration between two hosts that share the folder of the disk: the guest goes to and fro. */
import { setTimeout as delay } from 'node:timers/promises'
import { homeOf } from '../../../src/laboratory/laboratory-folders.ts'
import { installPeerPackages, libvirtPackages } from '../debian-peer-packages.ts'
import { longestGap } from '../longest-gap.ts'
import type { PeerOptions } from '../peer.ts'
import type { PeerHost } from '../peer-host.ts'
import { openPeerNetwork, type PeerNetwork } from '../peer-network.ts'
import { createTinyClient, findTinyGuest, type TinyGuest } from '../tiny-guest.ts'
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
  await using undo = new AsyncDisposableStack()
  const pair = undo.use(await openPair(note))
  const { domain } = await startGuest(pair.hosts[0], { network: pair.network, guest: pair.guest, memoryMiB })
  // Only known network file systems count as shared for libvirt: this one is a folder that both hosts see.
  return toAndFro(undo.move(), pair, { domain, how: '--unsafe' })
}

type Pair = AsyncDisposable & {
  readonly network: PeerNetwork
  readonly guest: TinyGuest
  readonly hosts: readonly [PeerHost, PeerHost]
}

/** Two hosts whose libvirt can reach the other's, and the guest that is to move between them. */
export async function openPair(note: PeerOptions['note']): Promise<Pair> {
  await installPeerPackages(libvirtPackages, note)
  const home = homeOf(process.env)
  const guest = await findTinyGuest(home)
  await using undo = new AsyncDisposableStack()
  const network = undo.use(await openPeerNetwork(home))
  const first = undo.use(await openLibvirtHost(network, 1, { isListening: true }))
  const second = undo.use(await openLibvirtHost(network, 2, { isListening: true }))
  const open = undo.move()
  return { network, guest, hosts: [first, second], [Symbol.asyncDispose]: () => open.disposeAsync() }
}

type Moves = {
  readonly domain: string
  /** The option by which its disks are there, too. */
  readonly how: '--unsafe' | '--copy-storage-all'
  /** What the next host needs beforehand. */
  readonly prepare?: (host: PeerHost) => Promise<void>
}

/** The guest runs on the first of them. `open` is what ends with it. */
export function toAndFro(
  open: AsyncDisposable,
  { network, hosts }: Pair,
  { domain, how, prepare }: Moves,
): VirshMigration {
  let [here, there] = hosts
  return {
    address: network.guest.address,
    async move() {
      await prepare?.(there)
      using client = createTinyClient(network.guest)
      await delay(quietMs)
      const beganAtMs = performance.now()
      const options = ['--live', '--persistent', '--undefinesource', how, '--auto-converge']
      const to = [`qemu+tcp://${there.address}/system`, '--migrateuri', `tcp://${there.address}`]
      await virsh(here, ['migrate', ...options, domain, ...to])
      const totalMs = performance.now() - beganAtMs
      await delay(quietMs)
      ;[here, there] = [there, here]
      return { clientGapMs: longestGap(client.answers), totalMs }
    },
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  }
}
