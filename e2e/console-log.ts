/** All that a machine's serial console has said in its present life, on whichever host it is. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenLaboratory } from './open-laboratory.ts'

export async function consoleLogOf({ folder }: Pick<OpenLaboratory, 'folder'>, vmId: string): Promise<string> {
  for (const host of await readdir(join(folder, 'hosts')).catch(() => [])) {
    const processes = join(folder, 'hosts', host, 'run', 'processes')
    const names = (await readdir(processes).catch(() => [])).filter((name) => name.startsWith(vmId))
    for (const name of names) {
      const text = await readFile(join(processes, name, 'console.log'), 'utf8').catch(() => '')
      if (text !== '') return text
    }
  }
  return ''
}
