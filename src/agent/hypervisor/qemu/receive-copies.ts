/**
 * The disks of a machine that is waited for, open to be written from its source: by QEMU's own NBD server, on a socket in a folder that is
 * QEMU's for the moment in which it makes it. Afterwards nobody can put another one in its place.
 */
import { once } from 'node:events'
import { chmod, chown, lstat, mkdir, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { QmpLine } from './qmp-session.ts'

const commandTimeoutMs = 5000
const folderName = 'copies'
const socketName = 'nbd'

export type CopiesPlace = { readonly runDirectory: string; readonly userId: number }

export async function openForCopies(
  line: QmpLine,
  { runDirectory, userId }: CopiesPlace,
  volumeIds: readonly string[],
): Promise<void> {
  const folder = join(runDirectory, folderName)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  await chown(folder, userId, userId)
  const path = `${folderName}/${socketName}`
  const addr = { type: 'unix', data: { path } } as const
  await line.execute('nbd-server-start', { addr, 'max-connections': volumeIds.length }, commandTimeoutMs)
  await chown(folder, 0, userId)
  await chmod(folder, 0o710)
  if (!(await lstat(join(runDirectory, path))).isSocket())
    throw new DialtoneError('hypervisor-failed', `${path} is no socket of QEMU's`)
  for (const volumeId of volumeIds) {
    const disk = { type: 'nbd', id: `copy-${volumeId}`, 'node-name': volumeId, name: volumeId, writable: true } as const
    await line.execute('block-export-add', disk, commandTimeoutMs)
  }
}

/** For whoever fills a disk: speaks NBD. */
export async function connectToCopies(runDirectory: string): Promise<Socket> {
  const socket = connect(join(runDirectory, folderName, socketName))
  await once(socket, 'connect')
  return socket
}

/** From now on the disks are only the machine's own. */
export async function closeForCopies(line: QmpLine): Promise<void> {
  await line.execute('nbd-server-stop', {}, commandTimeoutMs)
}
