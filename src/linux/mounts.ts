/** What is mounted where, as this process sees it. */
import { readFile } from 'node:fs/promises'
import { runCommand } from './run-command.ts'

/** Mount points at or below `directory`, innermost first. */
export async function mountsBelow(directory: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return mountPointsIn(table)
    .filter((point) => point === directory || point.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length)
}

/** Unmounts it, even when something still has a file open in it. */
export async function unmount(point: string): Promise<void> {
  await runCommand('umount', ['--lazy', point], { timeoutMs: 10_000 })
}

/** The mount points of a `/proc/self/mountinfo`, with its octal escapes resolved. */
export function mountPointsIn(mountTable: string): string[] {
  return mountTable
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((point) => point !== undefined)
    .map((point) =>
      point.replace(/\\(\d{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    )
}
