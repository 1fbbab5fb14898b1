/** The machine's writable disk, made without root, mount or loop device. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../src/linux/run-command.ts'
import type { Recipe } from './recipe.ts'

const timeoutMs = 60_000
/** Fixed, so that the same recipe gives the same disk; machines know their disk by its label. */
const fileSystemId = 'd1a17000-0000-4000-8000-000000000001'

/** Writes DIRECTORY/root.qcow2: one empty ext4 file system over the whole disk. */
export async function makeDisk(disk: Recipe['disk'], directory: string, scratch: string): Promise<void> {
  const raw = join(scratch, 'root.raw')
  // All tables are written now: a first mount with lazy ones starts a thread that writes for seconds.
  const extended = `lazy_itable_init=0,lazy_journal_init=0,nodiscard,hash_seed=${fileSystemId}`
  const options = ['-q', '-F', '-t', 'ext4', '-b', '4096', '-L', disk.label, '-U', fileSystemId, '-m', '0']
  const layout = ['-N', '4096', '-J', 'size=4', '-E', extended]
  await runCommand('env', ['E2FSPROGS_FAKE_TIME=1', '/sbin/mke2fs', ...options, ...layout, raw, `${disk.sizeMiB}M`], {
    timeoutMs,
  })
  await runCommand('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, join(directory, 'root.qcow2')], {
    timeoutMs,
  })
  await rm(raw)
}
