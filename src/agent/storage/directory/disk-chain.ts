/** A disk and what it lies on, read and checked in process: the way down never leads out of the storage. */
import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Qcow2Header, readQcow2Header } from '../../../linux/qcow2-header.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { LayerId } from '../../../model/ids.ts'
import { layerOfFileName } from './current-layer.ts'
import { isErrno } from './durable-files.ts'

/** So many files may lie under a disk. */
export const maximumLayers = 48

export type ChainLink = {
  readonly path: string
  readonly header: Qcow2Header
  readonly usedBytes: number
  readonly modifiedAt: Date
  /** Whose it is. */
  readonly userId: number
  /** Another volume has it, too, or had it until now: see `link-volume.ts`. */
  readonly isShared: boolean
}

/** Of a layer that several volumes have: every machine's user reads it, none writes to it. */
export const sharedMode = 0o444

/** `own`: what lies in the disk's own folder. `base`: the first file under it that lies in the images' folder. */
export type Chain = {
  readonly top: ChainLink
  readonly length: number
  readonly own: readonly ChainLink[]
  readonly base: ChainLink | undefined
}

/**
 * The disk and everything under it. `not-found` when the disk itself is missing; `image-corrupt` when a file under it is
 * damaged, missing, or lies anywhere but in `imagesFolder` or beside the disk.
 */
export async function readChain(path: string, imagesFolder: string): Promise<Chain> {
  const top = await readLink(path)
  const [ownFolder, sharedFolder] = [await realpath(dirname(path)), await realpath(imagesFolder)]
  const under: ChainLink[] = []
  for (let link = top; link.header.backingFile !== undefined; ) {
    const refusal = refusalOf(link.path)
    if (under.length >= maximumLayers) throw refusal(`it has more than ${maximumLayers} layers`)
    const backingPath = await locateLayer(link.path, link.header.backingFile)
    if (backingPath === undefined || ![ownFolder, sharedFolder].includes(dirname(backingPath))) {
      throw refusal(`its backing file ${link.header.backingFile} is missing or lies elsewhere`)
    }
    // Without a recorded format QEMU would guess it from content that a guest may have written.
    if (link.header.backingFormat !== 'qcow2') throw refusal('the format of its backing file is not recorded as qcow2')
    link = await readLink(backingPath)
    under.push(link)
  }
  const own = [top, ...under.filter((link) => dirname(link.path) === ownFolder)]
  const base = under.find((link) => dirname(link.path) === sharedFolder)
  return { top, length: under.length + 1, own, base }
}

/** One file of a chain, without what it lies on. */
export function readLink(path: string): Promise<ChainLink> {
  return withDisk(path, async (file) => {
    const { blocks, mtime, uid: userId, mode } = await file.stat()
    const isShared = (mode & 0o777) === sharedMode
    const header = await readQcow2Header(file, path)
    return { path, header, usedBytes: blocks * 512, modifiedAt: mtime, userId, isShared }
  })
}

/** Undefined when somebody has removed it since the folder was read. */
export async function readLinkIfThere(path: string): Promise<ChainLink | undefined> {
  try {
    return await readLink(path)
  } catch (error) {
    if (error instanceof DialtoneError && error.code === 'not-found') return undefined
    throw error
  }
}

/** The layer that an overlay lies on. */
export function layerUnder({ path, header: { backingFile } }: ChainLink): LayerId | null {
  const under = backingFile === undefined ? undefined : layerOfFileName(backingFile)
  if (under !== undefined) return under
  throw new DialtoneError(
    'image-corrupt',
    `${path} lies on ${backingFile ?? 'nothing'}, which is no layer of its volume`,
  )
}

/** Makes the file one that this user alone reads and writes. One that another volume has, too, stays what it is. */
export function giveTo(userId: number, path: string): Promise<void> {
  return withDisk(path, async (file) => {
    const { uid, gid, mode, nlink } = await file.stat()
    if ((mode & 0o777) === sharedMode && nlink > 1) return
    if (uid !== userId || gid !== userId) await file.chown(userId, userId)
    // A layer under others keeps the mode, too: QEMU, as this user, opens it for writing when layers are merged into it.
    if ((mode & 0o777) !== 0o600) await file.chmod(0o600)
  })
}

/** Opens a regular file (no link to somewhere else, nothing that would block) for reading. */
export async function withDisk<T>(path: string, use: (file: FileHandle, path: string) => Promise<T>): Promise<T> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) throw new DialtoneError('not-found', `${path} does not exist`, { cause: error })
    if (isErrno(error, 'ELOOP')) throw new DialtoneError('image-corrupt', `${path} is a link, not a disk`)
    throw error
  })
  try {
    if (!(await file.stat()).isFile()) throw new DialtoneError('image-corrupt', `${path} is not a regular file`)
    return await use(file, path)
  } finally {
    await file.close()
  }
}

function refusalOf(path: string): (reason: string) => DialtoneError {
  return (reason) => new DialtoneError('image-corrupt', `${path} is refused: ${reason}`)
}

/** The real path; undefined when it doesn't exist or isn't a plain relative path (QEMU reads `nbd:…` and `json:…` as something else). */
async function locateLayer(path: string, backingFile: string): Promise<string | undefined> {
  if (!/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/.test(backingFile)) return undefined
  return realpath(join(dirname(path), backingFile)).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined
    throw error
  })
}
