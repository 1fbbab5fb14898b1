/** Size and SHA-256 of a file. By a process of its own: sizes are gigabytes, and the agent has machines to look after meanwhile. */
import { stat } from 'node:fs/promises'
import { runCommand } from '../../linux/run-command.ts'

const timeoutMs = 600_000

export async function hashFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { size } = await stat(path)
  const line = await runCommand('sha256sum', ['--binary', '--', path], { timeoutMs, errorCode: 'storage-failed' })
  return { bytes: size, sha256: line.slice(0, 64) }
}
