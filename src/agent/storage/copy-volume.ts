/** Copies a disk that nobody has open to an empty one of the same size, by a program of its own. */
import { open } from 'node:fs/promises'
import { runCommand } from '../../linux/run-command.ts'
import type { DiskFormat } from '../../model/machine-order.ts'

export type DiskCopying = {
  readonly from: string
  readonly to: string
  readonly format: DiskFormat
  /** What lies under the disk's only layer lies under the copy already. */
  readonly isTopLayerOnly: boolean
  readonly cgroupDirectory: string
  readonly timeoutMs: number
}

/** Durable when it resolves. */
export async function copyDisk(copying: DiskCopying): Promise<void> {
  const { from, to, format, isTopLayerOnly, cgroupDirectory, timeoutMs } = copying
  // The name that follows -B is not opened: it says that the target has the rest under it.
  const rest = isTopLayerOnly ? ['-B', 'the-same'] : []
  const args = ['convert', '-n', '-f', format, '-O', format, ...rest, from, to]
  await runCommand('qemu-img', args, { timeoutMs, errorCode: 'storage-failed', cgroupDirectory })
  await using file = await open(to, 'r+')
  await file.sync()
}
