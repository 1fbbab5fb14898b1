/**
 * The temporary folder of one build. Its name carries who builds (process id and start time), so that the next build can
 * tell a left-over of a killed one from the work of a living one, and remove only the former.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

const pattern = /^\.building-(.+)-(\d+)-(\d+)$/

export type BuildOwner = { readonly pid: number; readonly startTime: string }

/** Makes and returns the folder of this process for `templateFolder` (name and version) in `into`. */
export async function claimBuildFolder(into: string, templateFolder: string): Promise<string> {
  const startTime = await processStartTime(process.pid)
  const folder = join(into, `.building-${templateFolder}-${process.pid}-${startTime ?? 0}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  return folder
}

/** Removes the folders of builders that are dead; returns the names of the templates that others are building now. */
export async function removeLeftOvers(into: string): Promise<string[]> {
  const names = await readdir(into).catch(() => [])
  const living: string[] = []
  for (const name of names) {
    const [, templateFolder, pid, startTime] = pattern.exec(name) ?? []
    if (templateFolder === undefined || pid === undefined) continue
    if ((await processStartTime(Number(pid))) !== startTime) {
      await rm(join(into, name), { recursive: true, force: true })
    } else if (Number(pid) !== process.pid) {
      living.push(templateFolder)
    }
  }
  return living
}

/** Start of a process in clock ticks since boot: with it, a process id that was used again is told apart. */
export async function processStartTime(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name may hold spaces and brackets; what follows its last bracket begins with field 3, and the time is field 22.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}
