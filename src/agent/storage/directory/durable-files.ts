/** Files that are there wholly or not at all, also after a power cut. */
import { link, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes `path` with this content, unless it exists; the answer says whether it was made. The name appears together with the whole
 * content (a link to a synced file), so neither a kill nor a second host leaves or sees half of it.
 */
export async function createExclusively(
  path: string,
  temporaryPath: string,
  { content, mode }: { readonly content: string | Uint8Array; readonly mode: number },
): Promise<boolean> {
  try {
    const file = await open(temporaryPath, 'w', mode)
    try {
      await file.chmod(mode)
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    return await linkUnlessThere(temporaryPath, path)
  } finally {
    await rm(temporaryPath, { force: true })
  }
}

/** Gives the file a second name, unless that one is taken; the answer says whether it was given. Durable when it returns. */
export async function linkUnlessThere(existingPath: string, newPath: string): Promise<boolean> {
  try {
    await link(existingPath, newPath)
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
  await syncPath(dirname(newPath))
  return true
}

/** Makes this file, which must not be there yet, with its content on the disk when it returns. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Flushes a file's content, or the names in a folder. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
