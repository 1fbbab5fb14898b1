/**
 * Which layer of a volume is current: the file name in the first line of `current`; without that file it is the first one. The lines after
 * it name layers that were replaced, with the time.
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { type LayerId, layerIdSchema } from '../../../model/ids.ts'
import { isErrno, syncPath } from './durable-files.ts'

const currentName = 'current'

export function layerFileName(layerId: LayerId | null): string {
  return layerId === null ? 'disk.qcow2' : `${layerId}.qcow2`
}

/** Null: the first layer; undefined: the file is no layer. */
export function layerOfFileName(fileName: string): LayerId | null | undefined {
  if (fileName === 'disk.qcow2') return null
  if (!fileName.endsWith('.qcow2')) return undefined
  return layerIdSchema.safeParse(fileName.slice(0, -'.qcow2'.length)).data
}

/** What stands in the file: the current layer, and those that were current before, as far as the next one did not lie on them. */
export type CurrentLayer = {
  readonly layerId: LayerId | null
  readonly replaced: ReadonlyMap<LayerId, Date>
}

export async function readCurrentLayer(folder: string): Promise<LayerId | null> {
  return (await readCurrent(folder)).layerId
}

/** `image-corrupt` when the file names no layer: nobody may guess which one was written last. */
export async function readCurrent(folder: string): Promise<CurrentLayer> {
  const path = join(folder, currentName)
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  })
  if (text === undefined) return { layerId: null, replaced: new Map() }
  const [first = '', ...lines] = text.trimEnd().split('\n')
  const layerId = layerOfFileName(first)
  if (layerId === undefined) throw new DialtoneError('image-corrupt', `${path} is damaged: it names no layer`)
  return { layerId, replaced: new Map(lines.flatMap(parseReplaced)) }
}

/** Lines that say nothing are left out: they only tell what may be removed later. */
function parseReplaced(line: string): readonly (readonly [LayerId, Date])[] {
  const [word, fileName = '', at = ''] = line.split(' ')
  const layerId = layerOfFileName(fileName)
  const replacedAt = new Date(at)
  if (word !== 'replaced' || layerId === undefined || layerId === null || Number.isNaN(replacedAt.getTime())) return []
  return [[layerId, replacedAt]]
}

/** Durable when it returns. `temporaryPath` is on the same file system. */
export async function writeCurrent(folder: string, temporaryPath: string, current: CurrentLayer): Promise<void> {
  const path = join(folder, currentName)
  const replaced = [...current.replaced].map(
    ([layerId, at]) => `replaced ${layerFileName(layerId)} ${at.toISOString()}`,
  )
  try {
    const file = await open(temporaryPath, 'w', 0o644)
    try {
      await file.writeFile(`${[layerFileName(current.layerId), ...replaced].join('\n')}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporaryPath, path)
  } catch (error) {
    await rm(temporaryPath, { force: true })
    throw error
  }
  await syncPath(dirname(path))
}
