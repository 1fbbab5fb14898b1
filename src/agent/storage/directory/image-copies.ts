/** The storage's own, immutable copies of template root disks, `images/VERSION.qcow2`: what its volumes are overlays of. */
import { chmod, lstat, mkdir, open, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { readQcow2Header } from '../../../linux/qcow2-header.ts'
import { runCommand } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import { templateVersionSchema } from '../../../model/template-manifest.ts'
import type { VolumeRequest } from '../storage.ts'
import { isErrno, linkUnlessThere, syncPath } from './durable-files.ts'
import { nameOfWork, type Worker } from './work-in-progress.ts'

export type ImageCopyOptions = {
  readonly imagesFolder: string
  readonly worker: Worker
  readonly cgroupDirectory: string
  readonly minimumFreeMiB: number
  readonly timeoutMs: number
}

/** Makes sure that the copy is there, and returns its file name. Several hosts may do this at once: one of the equal copies stays. */
export async function ensureImageCopy(
  base: NonNullable<VolumeRequest['base']>,
  options: ImageCopyOptions,
): Promise<string> {
  const fileName = baseFileName(base.version)
  const finalPath = join(options.imagesFolder, fileName)
  if (await isRegularFile(finalPath)) return fileName
  const { path: basePath } = base
  if (basePath === undefined) throw new DialtoneError('not-found', `The base ${base.version} is not on this storage`)
  const { size } = await checkedBase(basePath)
  await refuseWithoutSpace(options.imagesFolder, size / 2 ** 20 + options.minimumFreeMiB)
  // In a folder of its own: a copier that outlives a killed agent cannot make its file anew once that folder was cleared.
  const workFolder = join(options.imagesFolder, nameOfWork(options.worker, base.version))
  const workPath = join(workFolder, fileName)
  await mkdir(workFolder)
  try {
    await runCommand('cp', ['--reflink=auto', '--sparse=always', '--', basePath, workPath], {
      timeoutMs: options.timeoutMs,
      errorCode: 'storage-failed',
      cgroupDirectory: options.cgroupDirectory,
    })
    const copied = (await stat(workPath)).size
    if (copied !== size) throw new DialtoneError('storage-failed', `${basePath} changed while it was copied`)
    await chmod(workPath, 0o444)
    await syncPath(workPath)
    await linkUnlessThere(workPath, finalPath)
  } finally {
    await rm(workFolder, { recursive: true, force: true })
  }
  return fileName
}

/** `invalid-input` for a version that cannot be a file name. */
export function baseFileName(version: string): string {
  if (templateVersionSchema.safeParse(version).success) return `${version}.qcow2`
  throw new DialtoneError('invalid-input', `${JSON.stringify(version)} is not a template version`)
}

/** Throws `storage-failed` with the numbers when less than `neededMiB` is free. */
export async function refuseWithoutSpace(folder: string, neededMiB: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20)
  if (freeMiB >= neededMiB) return
  throw new DialtoneError(
    'storage-failed',
    `${folder} has ${freeMiB} MiB free, and ${Math.ceil(neededMiB)} MiB are needed`,
    {
      detail: { freeMiB, neededMiB: Math.ceil(neededMiB) },
    },
  )
}

async function isRegularFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function checkedBase(path: string): Promise<{ readonly size: number }> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw new DialtoneError('template-not-built', `The template's root disk ${path} cannot be opened`, { cause: error })
  })
  try {
    const { backingFile } = await readQcow2Header(file, path)
    if (backingFile === undefined) return { size: (await file.stat()).size }
    throw new DialtoneError(
      'image-corrupt',
      `${path} needs the file ${backingFile}: a template's disk must stand alone`,
    )
  } finally {
    await file.close()
  }
}
