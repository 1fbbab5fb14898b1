/**
 * Copies files of gigabytes by a process of its own: the agent has machines to look after meanwhile, and a storage that hangs holds none of
 * its threads.
 */
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { runCommand } from '../../../linux/run-command.ts'

const program = fileURLToPath(new URL('./sparse-copy-program.ts', import.meta.url))

const copiesSchema = z.array(z.object({ bytes: z.number(), sha256: z.string() }))

/** What was read of a source. */
export type CopiedFile = z.infer<typeof copiesSchema>[number]

/**
 * Copies each source to a new file, durably, one after the other, and returns what was read of each. Holes aren't read, and they and every
 * page of zeros take no space. `storage-failed` when it fails; what it made is then the caller's to remove.
 */
export async function copySparse(
  files: readonly { readonly source: string; readonly target: string }[],
  timeoutMs: number,
): Promise<readonly CopiedFile[]> {
  const paths = files.flatMap(({ source, target }) => [source, target])
  const answer = await runCommand(process.execPath, [program, ...paths], { timeoutMs, errorCode: 'storage-failed' })
  return copiesSchema.parse(JSON.parse(answer))
}
