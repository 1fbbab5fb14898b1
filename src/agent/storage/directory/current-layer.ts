/** Which layer of a volume is current: the file name in `current`; without that file it is the first one. */
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

/** `image-corrupt` when the file names no layer: nobody may guess which one was written last. */
export async function readCurrentLayer(folder: string): Promise<LayerId | null> {
  const path = join(folder, currentName)
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  })
  if (text === undefined) return null
  const layerId = layerOfFileName(text.trimEnd())
  if (layerId === undefined) throw new DialtoneError('image-corrupt', `${path} is damaged: it names no layer`)
  return layerId
}

/** Durable when it returns. `temporaryPath` is on the same file system. */
export async function writeCurrentLayer(folder: string, temporaryPath: string, layerId: LayerId | null): Promise<void> {
  const path = join(folder, currentName)
  try {
    const file = await open(temporaryPath, 'w', 0o644)
    try {
      await file.writeFile(`${layerFileName(layerId)}\n`)
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
