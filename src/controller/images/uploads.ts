/** Files that come over the API. One is there as a whole under its id, or not at all, and goes when it is used or a day old. */
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { DialtoneError } from '../../model/dialtone-error.ts'

const keptForMs = 86_400_000
const keptFreeMiB = 512

export function uploadPath(uploads: string, upload: string): string {
  return join(uploads, upload)
}

/** What the client writes goes into the file; it reads `ok` when all is there and durable, or the reason why not. */
export async function receiveUpload(uploads: string, upload: string, bytes: number): Promise<Duplex> {
  await mkdir(uploads, { recursive: true, mode: 0o700 })
  await refuseWithoutRoom(uploads, bytes)
  return Duplex.from(async function* receive(source: AsyncIterable<Uint8Array>) {
    const draft = `${uploadPath(uploads, upload)}.part`
    try {
      await writeExactly(draft, source, bytes)
      await rename(draft, uploadPath(uploads, upload))
      yield 'ok\n'
    } catch (error) {
      await rm(draft, { force: true })
      yield `${error instanceof Error ? error.message : String(error)}\n`
    }
  })
}

/** Throws `storage-failed` when a file of this size would leave too little. */
export async function refuseWithoutRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20)
  const neededMiB = Math.ceil(bytes / 2 ** 20) + keptFreeMiB
  if (freeMiB >= neededMiB) return
  throw new DialtoneError(
    'storage-failed',
    `the controller needs ${neededMiB} MiB in ${folder}, and ${freeMiB} are free`,
  )
}

export async function removeUpload(uploads: string, upload: string): Promise<void> {
  await rm(uploadPath(uploads, upload), { force: true })
}

/** What nobody has used, and what a controller before this one left half done. */
export async function clearUploads(uploads: string, nowMs: number): Promise<void> {
  for (const name of await readdir(uploads).catch(() => [])) {
    const path = join(uploads, name)
    const found = await stat(path).catch(() => undefined)
    const isUnfinished = name.includes('.')
    if (isUnfinished || (found !== undefined && nowMs - found.mtimeMs > keptForMs))
      await rm(path, { recursive: true, force: true })
  }
}

/** The client keeps its end open for the answer, so the end of its bytes is known by their number. */
async function writeExactly(path: string, source: AsyncIterable<Uint8Array>, bytes: number): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  let written = 0
  for await (const chunk of source) {
    written += chunk.length
    if (written > bytes) throw new DialtoneError('invalid-input', `more than the announced ${bytes} bytes came`)
    await file.writeFile(chunk)
    if (written === bytes) break
  }
  if (written < bytes) throw new DialtoneError('invalid-input', `only ${written} of ${bytes} bytes came`)
  await file.sync()
}
