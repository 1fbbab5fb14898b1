/** The tiny guest under libvirt: defined, started, and waited for. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PeerHost } from '../peer-host.ts'
import type { PeerNetwork } from '../peer-network.ts'
import { createTinyClient, type TinyGuest } from '../tiny-guest.ts'
import { domainXml } from './domain-xml.ts'
import { makeOverlay, virsh } from './libvirt-host.ts'

/** An emulated guest on a busy machine. */
export const bootWithinMs = 120_000

export type GuestWish = {
  readonly network: PeerNetwork
  readonly guest: TinyGuest
  readonly memoryMiB: number
  readonly canGrow?: boolean
}

/** It answers when this resolves. Its disk is in the network's folder, which every host of it sees. */
export async function startGuest(
  host: PeerHost,
  { network, guest, memoryMiB, canGrow = false }: GuestWish,
): Promise<{ readonly domain: string; readonly disk: string }> {
  const domain = network.guest.name
  const disk = join(network.folder, 'disk.qcow2')
  await makeOverlay(disk, guest.rootDisk)
  const definition = join(network.folder, 'domain.xml')
  await writeFile(definition, domainXml({ guest, card: network.guest, memoryMiB, disk, canGrow }))
  await virsh(host, ['define', definition])
  await virsh(host, ['start', domain])
  using client = createTinyClient(network.guest)
  await client.untilCorrectAfter(0, { deadlineMs: bootWithinMs })
  return { domain, disk }
}
