/** A disk that a guest stamps: where it is, and whether what was written to it is ever written over. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { decodeStamps, findSecondWriters, readStamps, type StampRecord } from '../recipes/tiny/read-stamps.ts'
import type { VmView } from '../src/model/api/views.ts'

/** For the command line of a machine whose second disk is raw: it stamps that one, as whoever lets it run. */
export const stampArguments =
  'dialtone.stamp=/dev/vdb dialtone.host={host} dialtone.epoch={epoch} dialtone.incarnation={incarnation}'

export function stampDiskOf({ folder }: { readonly folder: string }, vm: VmView): string {
  return join(folder, 'shared', 'volumes', vm.disks[1]?.volumeId ?? '', 'disk.raw')
}

export type FollowedStamps = AsyncDisposable & {
  /** What speaks for a second writer: sentences, none if there never was one. */
  violations(): Promise<readonly string[]>
}

const lookEveryMs = 5
const sectorBytes = 512
/** Behind the newest record: as far as a writer that was left behind may still write. */
const lookedAtAgain = 128

/**
 * Looks at the newest records all the time. Two copies of one machine write the same record numbers, of different moments, over one
 * another, so that a disk which is read once shows nothing of it: but a record that was seen and is another one later does.
 */
export async function followStamps(path: string): Promise<FollowedStamps> {
  const seen = new Map<number, string>()
  const rewritten: string[] = []
  let newest = 0
  const see = (records: readonly StampRecord[]) => {
    for (const record of records) {
      // What is being written at this moment may be seen half.
      if (record.kind === 'damaged') continue
      const { position, wallMs, uptimeMs, host } = record
      const words = `${host} at ${wallMs}, up for ${uptimeMs} ms`
      const before = seen.get(position)
      newest = Math.max(newest, position)
      if (before === undefined) seen.set(position, words)
      else if (before !== words) rewritten.push(`sector ${position}, of ${before}, was written over: ${words}`)
    }
  }
  see(await readStamps(path))
  const ending = new AbortController()
  const looking = look()
  return {
    async violations() {
      const records = await readStamps(path)
      see(records)
      return [...rewritten, ...findSecondWriters(records).map(({ message }) => message)]
    },
    async [Symbol.asyncDispose]() {
      ending.abort()
      await looking
    },
  }

  async function look(): Promise<void> {
    await using file = await open(path, 'r')
    const chunk = Buffer.alloc(2 * lookedAtAgain * sectorBytes)
    while (!ending.signal.aborted) {
      const first = Math.max(0, newest - lookedAtAgain)
      const { bytesRead } = await file.read(chunk, 0, chunk.length, first * sectorBytes)
      see(decodeStamps(chunk.subarray(0, bytesRead), first))
      await delay(lookEveryMs)
    }
  }
}
