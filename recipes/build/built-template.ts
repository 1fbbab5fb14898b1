/** Whether a built template is whole, and the paper that makes it one. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type TemplateFile,
  type TemplateManifest,
  templateManifestFileName,
  templateManifestSchema,
} from '../../src/model/template-manifest.ts'

export type Check = 'sizes' | 'sums'

/** The manifest of a folder whose files are all there as it says; undefined if anything is missing or differs. */
export async function readWholeTemplate(directory: string, check: Check): Promise<TemplateManifest | undefined> {
  const text = await readFile(join(directory, templateManifestFileName), 'utf8').catch(() => undefined)
  const parsed = text === undefined ? undefined : templateManifestSchema.safeParse(parseJson(text))
  if (parsed?.success !== true) return undefined
  for (const [name, file] of Object.entries(parsed.data.files)) {
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found?.size !== file.bytes) return undefined
    if (check === 'sums' && (await sumOf(path)).sha256 !== file.sha256) return undefined
  }
  return parsed.data
}

/** Size and SHA-256 of every file of a folder, each flushed to the disk, by name. */
export async function sumFiles(directory: string): Promise<Record<string, TemplateFile>> {
  const sums: Record<string, TemplateFile> = {}
  for (const name of (await readdir(directory)).sort()) {
    sums[name] = await sumOf(join(directory, name))
    await flush(join(directory, name))
  }
  return sums
}

/** Makes sure that a file, or the names in a folder, survive a power cut. */
export async function flush(path: string): Promise<void> {
  await using handle = await open(path, 'r')
  await handle.sync()
}

async function sumOf(path: string): Promise<TemplateFile> {
  const hash = createHash('sha256')
  let bytes = 0
  const chunks: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: 1 << 20 })
  for await (const chunk of chunks) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex') }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Last of all, and flushed: a folder without it is no template. */
export async function writeManifest(directory: string, manifest: TemplateManifest): Promise<void> {
  const path = join(directory, templateManifestFileName)
  await writeFile(path, `${JSON.stringify(manifest, null, 2)}\n`)
  await flush(path)
  await flush(directory)
}
