/** Takes a stream of bytes in, to memory or to a file, and lets nothing pass that is longer, shorter or other than announced. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TemplateFile } from '../../model/template-manifest.ts'

export type ByteSource = AsyncIterable<Uint8Array>

type Limits = {
  readonly fileName: string
  readonly stallTimeoutMs: number
  /** Names the file in errors. */
  readonly describe: (fileName: string) => string
}

/** Writes the file new (it must not exist), synced and read-only. `image-corrupt` unless size and SHA-256 are as wanted. */
export async function fetchFileTo(
  path: string,
  source: ByteSource,
  options: Limits & { readonly wanted: TemplateFile },
): Promise<void> {
  const { wanted, describe, fileName } = options
  const hash = createHash('sha256')
  let bytes = 0
  await using file = await open(path, 'wx', 0o444)
  for await (const chunk of chunksOf(source, { ...options, maximumBytes: wanted.bytes })) {
    hash.update(chunk)
    bytes += chunk.length
    await file.writeFile(chunk)
  }
  if (bytes !== wanted.bytes) {
    throw new DialtoneError('image-corrupt', `${describe(fileName)} ended after ${bytes} of ${wanted.bytes} bytes`)
  }
  if (hash.digest('hex') !== wanted.sha256) {
    throw new DialtoneError('image-corrupt', `${describe(fileName)} was altered: its SHA-256 is not the manifest's`)
  }
  await file.sync()
}

/** All of a short file. `image-corrupt` when it is longer than `maximumBytes`. */
export async function fetchBytes(
  source: ByteSource,
  options: Limits & { readonly maximumBytes: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of chunksOf(source, options)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The chunks, until the source ends. Throws when it stalls or gives too much, and ends the source then. */
async function* chunksOf(
  source: ByteSource,
  { fileName, stallTimeoutMs, describe, maximumBytes }: Limits & { readonly maximumBytes: number },
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  let bytes = 0
  try {
    for (;;) {
      const next = await before(stallTimeoutMs, iterator.next(), () => {
        const sentence = `${describe(fileName)}: nothing came for ${stallTimeoutMs} ms`
        return new DialtoneError('deadline-exceeded', sentence)
      })
      if (next.done === true) return
      bytes += next.value.length
      if (bytes > maximumBytes) {
        throw new DialtoneError('image-corrupt', `${describe(fileName)} is longer than ${maximumBytes} bytes`)
      }
      yield next.value
    }
  } finally {
    // Not waited for: a source that stalls may also stall in its end.
    iterator.return?.()?.catch(() => undefined)
  }
}

async function before<T>(timeoutMs: number, awaited: Promise<T>, makeError: () => DialtoneError): Promise<T> {
  const timer = Promise.withResolvers<never>()
  const timeout = setTimeout(() => timer.reject(makeError()), timeoutMs)
  try {
    return await Promise.race([awaited, timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}
