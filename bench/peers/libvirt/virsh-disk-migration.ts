/** libvirt's live migration between two hosts that share nothing: the guest goes to and fro, and its disks with it. */
import { copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PeerOptions } from '../peer.ts'
import type { PeerHost } from '../peer-host.ts'
import { createTinyClient } from '../tiny-guest.ts'
import { domainXml } from './domain-xml.ts'
import { makeOverlay, virsh } from './libvirt-host.ts'
import { bootWithinMs } from './start-guest.ts'
import { openPair, toAndFro, type VirshMigration } from './virsh-migration.ts'

/** Each host has a folder of its own there. */
const folder = '/var/lib/libvirt/images'
const paths = { disk: join(folder, 'disk.qcow2'), dataDisk: join(folder, 'data.raw') }

export type DiskMigrationOptions = Pick<PeerOptions, 'memoryMiB' | 'note'> & {
  /** A file whose content is on the guest's second disk. */
  readonly data: string
  readonly dataMiB: number
}

/** Installs libvirt if need be; the guest answers when this resolves. */
export async function openVirshDiskMigration(options: DiskMigrationOptions): Promise<VirshMigration> {
  const { memoryMiB, note, data, dataMiB } = options
  await using undo = new AsyncDisposableStack()
  const pair = undo.use(await openPair(note))
  const { network, guest } = pair
  const [first] = pair.hosts
  const domain = network.guest.name
  const on = (host: PeerHost, path: string) => join(host.folder, path)
  /** Of the right size and with nothing in them: libvirt wants them to be there. */
  const makeDisks = async (host: PeerHost) => {
    await mkdir(on(host, folder), { recursive: true })
    for (const path of Object.values(paths)) await rm(on(host, path), { force: true })
    await makeOverlay(on(host, paths.disk), guest.rootDisk)
    await writeFile(on(host, paths.dataDisk), '')
    await truncate(on(host, paths.dataDisk), dataMiB * 2 ** 20)
  }
  await makeDisks(first)
  await copyFile(data, on(first, paths.dataDisk))
  const definition = join(network.folder, 'domain.xml')
  await writeFile(definition, domainXml({ guest, card: network.guest, memoryMiB, ...paths }))
  await virsh(first, ['define', definition])
  await virsh(first, ['start', domain])
  {
    using client = createTinyClient(network.guest)
    await client.untilCorrectAfter(0, { deadlineMs: bootWithinMs })
  }
  return toAndFro(undo.move(), pair, { domain, how: '--copy-storage-all', prepare: makeDisks })
}
