/** The slots that this host itself has cleared without having heard the leader since: what its next agent has to know before it counts a read. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { type StorageId, storageIdSchema } from '../../model/ids.ts'

export type ClearedSlots = {
  /** Those that an earlier agent has left. */
  readonly left: readonly StorageId[]
  /** Resolves when an agent that follows this one would know; before that the slot is not touched. */
  add(storageId: StorageId): Promise<void>
  /** The leader was heard since. */
  remove(storageId: StorageId): Promise<void>
}

/** In this file. Throws when it is damaged: an agent that does not know must not count reads. It outlives processes; a host that boots runs nothing yet. */
export async function openClearedSlots(path: string): Promise<ClearedSlots> {
  const left = await readSlots(path)
  const present = new Set(left)
  let written: Promise<void> = Promise.resolve()
  /** One write after the other, each of what holds then. */
  const write = () => {
    const next = written.then(async () => {
      await writeFile(`${path}.new`, JSON.stringify([...present]), { mode: 0o600 })
      await rename(`${path}.new`, path)
    })
    written = next.catch(() => undefined)
    return next
  }
  return {
    left,
    add(storageId) {
      present.add(storageId)
      return write()
    },
    async remove(storageId) {
      if (present.delete(storageId)) await write()
    },
  }
}

async function readSlots(path: string): Promise<readonly StorageId[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]'
    throw error
  })
  return z.array(storageIdSchema).parse(JSON.parse(text))
}
