/**
 * Runs an administrator's commands on this host. Each run has a folder that is made once, so an order that is repeated, also to an agent
 * that restarted or on a host that has booted anew, finds the run that was begun, and never begins another.
 */
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isCgroupEmpty, makeCgroup } from '../../linux/cgroup.ts'
import { startDetached } from '../../linux/start-detached.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostCommandReport } from '../../model/host-command.ts'

export type HostCommands = {
  /** Begins it, unless this run was begun before, and tells how it stands. */
  run(runId: string, command: string): Promise<HostCommandReport>
}

const keptOutputBytes = 16_384
/** Its exit code appears whole or not at all. */
const wrapper = 'sh -c "$1"; echo $? > "$0/exit.new"; mv "$0/exit.new" "$0/exit"'

/** `directory` outlives a boot of the host; `cgroupDirectory` is nobody's kill group. */
export function createHostCommands({
  directory,
  cgroupDirectory,
}: {
  readonly directory: string
  readonly cgroupDirectory: string
}): HostCommands {
  return {
    async run(runId, command) {
      const folder = join(directory, runId)
      const cgroup = join(cgroupDirectory, runId)
      if (!(await makeOnce(directory, folder))) return reportOf(folder, cgroup)
      await makeCgroup(cgroup)
      await startDetached({
        command: ['/bin/sh', '-c', wrapper, folder, command],
        cgroupDirectory: cgroup,
        logFile: join(folder, 'output'),
        environment: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' },
      })
      return { state: 'running', exitCode: null, output: '' }
    },
  }
}

async function reportOf(folder: string, cgroup: string): Promise<HostCommandReport> {
  // Asked before the exit code: a command that ends in between has left one.
  const isOver = await isCgroupEmpty(cgroup)
  const exit = await readFile(join(folder, 'exit'), 'utf8').catch(() => undefined)
  const output = await readEnd(join(folder, 'output'))
  if (exit !== undefined) return { state: 'ended', exitCode: Number(exit), output }
  return { state: isOver ? 'cut-off' : 'running', exitCode: null, output }
}

async function makeOnce(directory: string, folder: string): Promise<boolean> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  try {
    await mkdir(folder, { mode: 0o700 })
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw new DialtoneError('machine-setup', `${folder} cannot be made`, { cause: error })
  }
}

async function readEnd(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, keptOutputBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
