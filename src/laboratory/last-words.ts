/** The last lines of a laboratory's logs, for the message about an `up` that failed. */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LaboratoryFolders } from './laboratory-folders.ts'

const tailBytes = 4096
const tailLines = 6

export type LogTail = { readonly path: string; readonly lines: readonly string[] }

/** Empty logs are left out. */
export async function lastWords(folders: LaboratoryFolders): Promise<LogTail[]> {
  const hosts = await readdir(folders.hosts).catch(() => [])
  const places = [folders.log, ...hosts.map((host) => join(folders.hosts, host, 'log'))]
  const paths = await Promise.all(
    places.map(async (place) => (await readdir(place).catch(() => [])).map((name) => join(place, name))),
  )
  const tails = await Promise.all(paths.flat().map(async (path) => ({ path, lines: await tailOf(path) })))
  return tails.filter(({ lines }) => lines.length > 0)
}

async function tailOf(path: string): Promise<string[]> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, Math.max(0, size - tailBytes))
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n')
    return lines.filter((line) => line !== '').slice(-tailLines)
  } catch {
    // A log that can't be read has nothing to say about the failure.
    return []
  }
}
