/** The disk of a volume, `volumes/ID/disk.qcow2` or `disk.raw`: made under another name and renamed, checked before it is opened. */
import { chmod, type FileHandle, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Qcow2Header, readQcow2Header } from '../../../linux/qcow2-header.ts'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { DiskFormat } from '../../../model/machine-order.ts'
import type { VolumeRequest } from '../storage.ts'
import { layerFileName, readCurrentLayer } from './current-layer.ts'
import { giveTo, readChain, withDisk } from './disk-chain.ts'
import { isErrno, syncPath } from './durable-files.ts'
import { namesIn, neederOf } from './needed-layers.ts'

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
 * Checks the current layer of the disk and everything under it, gives them to the user and returns the path. `not-found`, or
 * `image-corrupt` when a layer is damaged, missing, or lies anywhere but in `imagesFolder` or beside the disk; `wrong-state` when an
 * image needs the current one.
 */
export async function openDisk(
  folder: string,
  imagesFolder: string,
  { format, userId }: { readonly format: DiskFormat; readonly userId: number },
): Promise<string> {
  if (format === 'raw') {
    const path = join(folder, diskName(format))
    await withDisk(path, checkRaw)
    await giveTo(userId, path)
    return path
  }
  const current = await readCurrentLayer(folder)
  const path = join(folder, layerFileName(current))
  const names = await namesIn(folder)
  if (current !== null && !names.includes(layerFileName(current))) {
    throw new DialtoneError('image-corrupt', `${path}, the current layer, is missing`)
  }
  const needer = await neederOf(folder, current, names)
  if (needer !== undefined) {
    throw new DialtoneError('wrong-state', `${path} is not opened for writing: ${needer} needs it as it is`)
  }
  const { own, top } = await readChain(path, imagesFolder)
  if (top.isShared) throw new DialtoneError('wrong-state', `${path} is not opened for writing: another volume has it`)
  for (const link of own) await giveTo(userId, link.path)
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
