/** The built console on disk: which files it has. Only what this list names is ever served, so no path can lead elsewhere. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

export const consoleFileSchema = z.object({
  /** As it stands in an address, from the root on: `/assets/main-1a2b3c4d.js`. */
  path: z.string().regex(/^\/[\w.-]+(?:\/[\w.-]+)*$/),
  type: z.string(),
  /** Of what is sent without encoding. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** The encodings that lie beside it, best first, as `FILE.br`. */
  encodings: z.array(z.enum(['br', 'gzip'])),
})
export type ConsoleFile = z.infer<typeof consoleFileSchema>

export const consoleListSchema = z.object({
  /** Digest of the sources that it was built from. */
  sources: z.string(),
  files: z.array(consoleFileSchema),
})

export type BuiltConsole = {
  readonly directory: string
  readonly files: ReadonlyMap<string, ConsoleFile>
}

/** Written last by the build. */
export const consoleListName = 'files.json'

/** Undefined while there is no build there. */
export async function readBuiltConsole(directory: string): Promise<BuiltConsole | undefined> {
  const text = await readFile(join(directory, consoleListName), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { files } = consoleListSchema.parse(JSON.parse(text))
  return { directory, files: new Map(files.map((file) => [file.path, file])) }
}
