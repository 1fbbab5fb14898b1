/** Who on this host has a file open. Only links of /proc are read, which answers also while the storage itself hangs. */
import { readdir, readlink } from 'node:fs/promises'

/**
 * Other processes of this host with an open file whose path contains `part`. Paths differ between mount namespaces; a volume's id doesn't.
 * This process itself only ever looks into a disk for a moment.
 */
export async function processesWithOpenFile(part: string): Promise<readonly number[]> {
  const processIds = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  const found: number[] = []
  for (const processId of processIds) {
    const descriptors = await readdir(`/proc/${processId}/fd`).catch(() => [])
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${processId}/fd/${descriptor}`).catch(() => '')
      if (!target.includes(part)) continue
      found.push(Number(processId))
      break
    }
  }
  return found
}
