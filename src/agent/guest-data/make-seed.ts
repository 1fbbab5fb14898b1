/** Writes a machine's seed as a disc (ISO 9660 with long names), the same to the byte each time. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { runCommand } from '../../linux/run-command.ts'
import type { MachineOrder } from '../../model/machine-order.ts'
import { noCloudFiles } from './nocloud-files.ts'

const timeoutMs = 20_000
/** Of everything on it: a disc that is made anew must not look like another one. */
const madeAt = '2020010100000000'

/** Only root may read it: it may hold what is secret. */
export async function makeSeed(machine: MachineOrder, path: string): Promise<void> {
  const folder = join(dirname(path), `${basename(path)}-files`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { mode: 0o700 })
  try {
    for (const [name, content] of Object.entries(noCloudFiles(machine)))
      await writeFile(join(folder, name), content, { mode: 0o600 })
    const draft = `${path}.new`
    await rm(draft, { force: true })
    await writeFile(draft, '', { mode: 0o600 })
    await runCommand(
      'xorriso',
      [
        ...['-as', 'mkisofs', '-quiet', '-V', 'cidata', '-J', '-r', `--modification-date=${madeAt}`],
        ...['--set_all_file_dates', madeAt, '-o', draft, folder],
      ],
      { timeoutMs, errorCode: 'machine-setup' },
    )
    await rename(draft, path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
