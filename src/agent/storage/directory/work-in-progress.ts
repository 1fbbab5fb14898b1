/**
 * Names of folders and files that are being made or deleted. The name says who works on it, so that what a dead process left behind
 * can be told from what is still at work, also while several hosts use the storage.
 */
import { mkdir, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isErrno } from './durable-files.ts'

/** This process on this boot of this host. */
export type Worker = {
  readonly hostName: string
  readonly bootId: string
  readonly processId: number
  readonly startTicks: string
}

// Other hosts' processes can't be looked at. A day is beyond every deadline of a copy, and it is measured on the storage's own clock.
const foreignLeftOverMs = 24 * 3600 * 1000

let worksBegun = 0

export async function thisWorker(hostName: string): Promise<Worker> {
  const startTicks = await startTicksOf(process.pid)
  if (startTicks === undefined) throw new Error('this process is not in /proc')
  return { hostName, bootId: await readBootId(), processId: process.pid, startTicks }
}

/** A name for work on `subject` that nobody else uses. It begins with a dot, as no finished volume or image does. */
export function nameOfWork(worker: Worker, subject: string): string {
  worksBegun += 1
  const { hostName, bootId, processId, startTicks } = worker
  return `.work+${subject}+${hostName}+${bootId}+${processId}+${startTicks}+${worksBegun}`
}

/** Removes what dead workers left in `folder`. */
export async function clearLeftOvers(folder: string, worker: Worker): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith('.work+')) continue
    const [, , hostName, bootId, processId, startTicks] = name.split('+')
    const path = join(folder, name)
    const isLeftOver =
      hostName === worker.hostName
        ? bootId !== worker.bootId || (await startTicksOf(Number(processId))) !== startTicks
        : (await ageOnStorage(path, join(folder, nameOfWork(worker, 'clock')))) > foreignLeftOverMs
    if (isLeftOver) await rm(path, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Compares with a folder made now, so that both times are of one clock. Something that vanished meanwhile counts as new. */
async function ageOnStorage(path: string, clockPath: string): Promise<number> {
  await mkdir(clockPath)
  try {
    return (await stat(clockPath)).mtimeMs - (await stat(path)).mtimeMs
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0
    throw error
  } finally {
    await rmdir(clockPath)
  }
}

/** Field 22 of /proc/PID/stat; undefined for a process that isn't there or is a zombie. */
async function startTicksOf(processId: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => '')
  // The second field is the program's name in parentheses, which may hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8)
}
