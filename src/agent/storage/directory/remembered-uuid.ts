/**
 * Which storage this host saw under a path when it first used it. An unmounted mount point, or another disk mounted there, is then not
 * mistaken for it. Kept in the host's own tree.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { StorageId } from '../../../model/ids.ts'

const markerSchema = z.object({ storageUuid: z.uuid() })

/** The uuid to expect; undefined for a storage that this host has never seen marked. */
export function rememberedUuid(
  dataDirectory: string,
  { storageId, path }: { readonly storageId: StorageId; readonly path: string },
): string | undefined {
  const folder = join(dataDirectory, 'storages')
  const remembered = readUuid(join(folder, `${storageId}.json`))
  if (remembered !== undefined) return remembered
  const present = readUuid(join(path, 'dialtone-storage.json'))
  if (present === undefined) return undefined
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${storageId}.json`), JSON.stringify({ storageUuid: present }))
  return present
}

function readUuid(path: string): string | undefined {
  try {
    return markerSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).storageUuid
  } catch {
    return undefined
  }
}
