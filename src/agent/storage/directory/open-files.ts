/** Who on this host has a file open. Only links of /proc are read, which answers also while the storage itself hangs. */
import { readdir, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Other processes of this host with an open file whose path contains `part`. Paths differ between mount namespaces; a volume's id doesn't.
 * This process itself only ever looks into a disk for a moment.
 */
export function processesWithOpenFile(part: string): Promise<readonly number[]> {
  return findProcesses(part, async () => true)
}

/** The same for any file of a volume's folder: one of the same volume on another storage, where a move brings it, is another file. */
export async function processesWithVolumeOpen(folder: string, volumeId: string): Promise<readonly number[]> {
  const names = await readdir(folder, { recursive: true })
  const files = new Set(await Promise.all(names.map((name) => identityOf(join(folder, name)))))
  return findProcesses(`/volumes/${volumeId}/`, async (link) => {
    const identity = await identityOf(link)
    return identity !== undefined && files.has(identity)
  })
}

async function findProcesses(part: string, isMeant: (link: string) => Promise<boolean>): Promise<readonly number[]> {
  const processIds = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
  const found: number[] = []
  for (const processId of processIds) {
    const descriptors = await readdir(`/proc/${processId}/fd`).catch(() => [])
    for (const descriptor of descriptors) {
      const link = `/proc/${processId}/fd/${descriptor}`
      const target = await readlink(link).catch(() => '')
      if (!target.includes(part) || !(await isMeant(link))) continue
      found.push(Number(processId))
      break
    }
  }
  return found
}

/** Undefined for what is gone meanwhile. */
async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found === undefined ? undefined : `${found.dev} ${found.ino}`
}
