/** The disk of a volume, `volumes/ID/disk.qcow2` or `disk.raw`: made under another name and renamed, checked before it is opened. */
import { constants } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { DiskFormat } from '../../../model/machine-order.ts'
import type { VolumeRequest } from '../storage.ts'
import { isErrno, syncPath } from './durable-files.ts'
import { type Qcow2Header, readQcow2Header } from './qcow2-header.ts'

const maximumLayers = 16

/**
 * Makes the volume's disk in `workFolder`, which appears as `folder` when it is whole and durable. `imageFileName` is the storage's
 * copy of the request's base.
 */
export async function makeVolume(
  request: VolumeRequest,
  place: { readonly folder: string; readonly workFolder: string; readonly imageFileName: string | undefined },
  timeoutMs: number,
): Promise<void> {
  const { folder, workFolder, imageFileName } = place
  const diskPath = join(workFolder, diskName(request.format))
  await mkdir(workFolder, { mode: 0o700 })
  try {
    // The path is relative, so that the storage may be mounted elsewhere on another host.
    const backing = imageFileName === undefined ? [] : ['-b', `../../images/${imageFileName}`, '-F', 'qcow2']
    await runCommand('qemu-img', ['create', '-q', '-f', request.format, ...backing, diskPath, `${request.sizeMiB}M`], {
      timeoutMs,
      errorCode: 'storage-failed',
      cgroupDirectory: request.cgroupDirectory,
    })
    await chmod(diskPath, 0o600)
    await chmod(workFolder, 0o711)
    await syncPath(diskPath)
    await syncPath(workFolder)
    await rename(workFolder, folder)
    await syncPath(dirname(folder))
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error
    // Somebody made the same volume meanwhile; the caller compares.
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
}

/** Throws `wrong-state` when the volume that is there isn't what the request would make. */
export async function compareVolume(request: VolumeRequest, folder: string): Promise<void> {
  const wantedBase = request.base === undefined ? undefined : `../../images/${request.base.version}.qcow2`
  const differs = (what: string) =>
    new DialtoneError('wrong-state', `Volume ${request.volumeId} exists already with another ${what}`)
  const files = await readdir(folder)
  if (!files.includes(diskName(request.format))) throw differs('format')
  await withDisk(join(folder, diskName(request.format)), async (file, path) => {
    const { size } = await file.stat()
    const header: Qcow2Header =
      request.format === 'qcow2'
        ? await readQcow2Header(file, path)
        : { virtualBytes: size, backingFile: undefined, backingFormat: undefined }
    if (header.virtualBytes !== request.sizeMiB * 2 ** 20) throw differs('size')
    if (header.backingFile !== wantedBase) throw differs('base')
  })
}

/**
 * Checks the disk and everything under it, gives it to `userId` and returns its path. `not-found`, or `image-corrupt` when a layer is
 * damaged, missing, or lies anywhere but in `imagesFolder` or beside the disk.
 */
export async function openDisk(
  folder: string,
  imagesFolder: string,
  access: { readonly format: DiskFormat; readonly userId: number },
): Promise<string> {
  const path = join(folder, diskName(access.format))
  await withDisk(path, async (file) => {
    if (access.format === 'raw') await checkRaw(file, path)
    else {
      const allowed = [await realpath(imagesFolder), await realpath(folder)]
      await checkLayers(await readQcow2Header(file, path), path, allowed)
    }
    const { uid, mode } = await file.stat()
    if (uid !== access.userId) await file.chown(access.userId, access.userId)
    if ((mode & 0o777) !== 0o600) await file.chmod(0o600)
  })
  return path
}

/** Virtual size of an image of this storage, in bytes. */
export function virtualBytesOf(path: string): Promise<number> {
  return withDisk(path, async (file) => (await readQcow2Header(file, path)).virtualBytes)
}

export function diskName(format: DiskFormat): string {
  return `disk.${format}`
}

async function checkRaw(file: FileHandle, path: string): Promise<void> {
  const { size } = await file.stat()
  if (size === 0 || size % 512 !== 0) throw new DialtoneError('image-corrupt', `${path} is truncated: ${size} bytes`)
}

async function checkLayers(top: Qcow2Header, topPath: string, allowedFolders: readonly string[]): Promise<void> {
  let layer = { header: top, path: topPath }
  for (let depth = 0; layer.header.backingFile !== undefined; depth += 1) {
    const { path, header } = layer
    const refusal = (reason: string) => new DialtoneError('image-corrupt', `${path} is refused: ${reason}`)
    if (depth >= maximumLayers) throw refusal(`it has more than ${maximumLayers} layers`)
    const backingPath = await locateLayer(path, layer.header.backingFile)
    if (backingPath === undefined || !allowedFolders.includes(dirname(backingPath))) {
      throw refusal(`its backing file ${layer.header.backingFile} is missing or lies elsewhere`)
    }
    // Without a recorded format QEMU would guess it from content that a guest may have written.
    if (header.backingFormat !== 'qcow2') throw refusal('the format of its backing file is not recorded as qcow2')
    layer = await withDisk(backingPath, async (file) => ({
      header: await readQcow2Header(file, backingPath),
      path: backingPath,
    }))
  }
}

/** The real path; undefined when it doesn't exist or isn't a plain relative path (QEMU reads `nbd:…` and `json:…` as something else). */
async function locateLayer(path: string, backingFile: string): Promise<string | undefined> {
  if (!/^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/.test(backingFile)) return undefined
  return realpath(join(dirname(path), backingFile)).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined
    throw error
  })
}

/** Opens a regular file (no link to somewhere else, nothing that would block) for reading. */
async function withDisk<T>(path: string, use: (file: FileHandle, path: string) => Promise<T>): Promise<T> {
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
