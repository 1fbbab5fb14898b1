/** What is mounted where, as this process sees it. */
import { readFile } from 'node:fs/promises'
import { runCommand } from './run-command.ts'

export type Mount = { readonly point: string; readonly type: string; readonly source: string }

export async function listMounts(): Promise<Mount[]> {
  return parseMounts(await readFile('/proc/self/mountinfo', 'utf8'))
}

/** Mount points at or below `directory`, innermost first. */
export async function mountsBelow(directory: string): Promise<string[]> {
  const points = (await listMounts()).map((mount) => mount.point)
  return points
    .filter((point) => point === directory || point.startsWith(`${directory}/`))
    .sort((a, b) => b.length - a.length)
}

/** Unmounts it, even when something still has a file open in it. */
export async function unmount(point: string): Promise<void> {
  await runCommand('umount', ['--lazy', point], { timeoutMs: 10_000 })
}

/** The mounts of a `/proc/self/mountinfo`, with its octal escapes resolved. */
export function parseMounts(mountTable: string): Mount[] {
  return mountTable.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const point = before.split(' ')[4]
    const [type = '', source = ''] = after.split(' ')
    return point === undefined ? [] : [{ point: unescaped(point), type, source: unescaped(source) }]
  })
}

function unescaped(text: string): string {
  return text.replace(/\\(\d{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}
