/**
 * cgroup v2, which is how Dialtone knows what belongs to a machine or to a host and kills all of it at once.
 * `cgroup.kill` (Linux 5.14) leaves no pid races; `populated 0` says that every process has been reaped.
 */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DialtoneError } from '../model/dialtone-error.ts'

/** Where cgroup v2 is mounted on this machine, or undefined when it isn't (a bare chroot). */
export async function findCgroupMount(): Promise<string | undefined> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const line = mounts.split('\n').find((entry) => entry.includes(' - cgroup2 '))
  return line?.split(' ')[4]
}

export async function makeCgroup(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
}

/** True when no process is left in it or below it; also when it doesn't exist. */
export async function isCgroupEmpty(directory: string): Promise<boolean> {
  const events = await readFile(join(directory, 'cgroup.events'), 'utf8').catch(ifMissing(''))
  return !/^populated 1$/m.test(events)
}

/** The processes in this cgroup itself, without those in cgroups below. */
export async function processesIn(directory: string): Promise<number[]> {
  const text = await readFile(join(directory, 'cgroup.procs'), 'utf8').catch(ifMissing(''))
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number)
}

/** SIGKILL to every process in it and below, at once. Returns before they are reaped. */
export async function killCgroup(directory: string): Promise<void> {
  await writeFile(join(directory, 'cgroup.kill'), '1').catch(ifMissing(undefined))
}

/** Kills and waits until everything is reaped; throws `deadline-exceeded` when something is still there (uninterruptible I/O). */
export async function killCgroupAndWait(directory: string, deadlineMs: number): Promise<void> {
  const givesUpAt = performance.now() + deadlineMs
  await killCgroup(directory)
  while (!(await isCgroupEmpty(directory))) {
    if (performance.now() > givesUpAt) {
      throw new DialtoneError('deadline-exceeded', `${directory} still has processes ${deadlineMs} ms after SIGKILL`)
    }
    await delay(2)
    await killCgroup(directory)
  }
}

/** Removes the (empty) cgroup and those below it. A missing one is fine. */
export async function removeCgroup(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(ifMissing([]))
  for (const entry of entries) if (entry.isDirectory()) await removeCgroup(join(directory, entry.name))
  for (let attempt = 0; ; attempt += 1) {
    try {
      await rmdir(directory).catch(ifMissing(undefined))
      return
    } catch (error) {
      // The kernel may need a moment after the last process was reaped.
      if (attempt >= 50) throw new DialtoneError('machine-setup', `${directory} cannot be removed`, { cause: error })
      await delay(10)
    }
  }
}

function ifMissing<T>(fallback: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENODEV') return fallback
    throw error
  }
}
