/** Brings the bytes of an image to a file of this machine: from an upload, or from an address. */
import { createHash } from 'node:crypto'
import { open, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ReadableStream } from 'node:stream/web'
import { type ImageSource, maximumUploadBytes } from '../../model/api/image-routes.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { refuseWithoutRoom, uploadPath } from './uploads.ts'

export type Bringing = {
  readonly source: ImageSource
  readonly uploads: string
  /** A new file, or an earlier attempt's. */
  readonly path: string
  readonly signal: AbortSignal
  readonly onProgress: (fraction: number) => void
}

/** An answer without a single byte for so long has failed. */
const stallTimeoutMs = 60_000

/** The file is whole when this resolves. An upload is moved: there is no second use of it. */
export async function bringSource(bringing: Bringing): Promise<void> {
  const { source, uploads, path } = bringing
  if (source.kind === 'url') return download(source, bringing)
  // An attempt before this one may have moved it.
  if ((await stat(path).catch(() => undefined)) !== undefined) return
  await rename(uploadPath(uploads, source.upload), path).catch((cause: unknown) => {
    throw new DialtoneError('not-found', `there is no upload ${source.upload}: upload the file again`, { cause })
  })
}

async function download(
  { url, sha256 }: Extract<ImageSource, { kind: 'url' }>,
  { path, signal, onProgress }: Bringing,
): Promise<void> {
  const stalled = new AbortController()
  let timer = setTimeout(() => stalled.abort(), stallTimeoutMs)
  const failed = (why: string, cause?: unknown) =>
    new DialtoneError('invalid-input', `${url} could not be fetched: ${why}`, { cause })
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, stalled.signal]) })
    const body: ReadableStream<Uint8Array> | null = response.body
    if (!response.ok || body === null) throw failed(`the server answered ${response.status}`)
    const announced = Number(response.headers.get('content-length') ?? 0)
    if (announced > maximumUploadBytes) throw failed(`it is larger than ${maximumUploadBytes} bytes`)
    await refuseWithoutRoom(dirname(path), announced)
    const hash = createHash('sha256')
    let bytes = 0
    await using file = await open(path, 'w', 0o600)
    const reader = body.getReader()
    for (;;) {
      const { done, value: chunk } = await reader.read()
      if (done) break
      clearTimeout(timer)
      timer = setTimeout(() => stalled.abort(), stallTimeoutMs)
      bytes += chunk.length
      if (bytes > maximumUploadBytes) throw failed(`it is larger than ${maximumUploadBytes} bytes`)
      hash.update(chunk)
      await file.writeFile(chunk)
      if (announced > 0) onProgress(bytes / announced)
    }
    const found = hash.digest('hex')
    if (sha256 !== undefined && found !== sha256) throw failed(`its SHA-256 is ${found}, and not what was asked for`)
    await file.sync()
  } catch (error) {
    if (signal.aborted) throw new DialtoneError('cancelled', 'the import was called off')
    if (error instanceof DialtoneError) throw error
    throw failed(stalled.signal.aborted ? 'nothing more came' : String(error), error)
  } finally {
    clearTimeout(timer)
  }
}
