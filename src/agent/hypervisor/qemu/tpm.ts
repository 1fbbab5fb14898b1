/**
 * A machine's TPM: a process (swtpm) of the machine's user in the machine's own cgroup, so that whatever kills the machine kills what writes
 * to the TPM's state. It ends by itself when QEMU does.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { chown, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { inCgroup } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'
import type { MachineShape } from '../hypervisor.ts'
import { runFiles } from './run-files.ts'

const startTimeoutMs = 5_000
const lookAgainMs = 5

/** Listens when this resolves. Returns what ends it, for a machine that does not come into being. */
export async function startTpm(
  { cgroupDirectory, runDirectory, userId }: MachineShape,
  stateDirectory: string,
): Promise<() => void> {
  const socket = runFiles(runDirectory).tpm
  const logPath = join(dirname(socket), 'log')
  await rm(dirname(socket), { recursive: true, force: true })
  await mkdir(dirname(socket), { mode: 0o700 })
  await chown(dirname(socket), userId, userId)
  const [file = '/bin/sh', ...args] = inCgroup(cgroupDirectory, 'swtpm', [
    ...['socket', '--tpm2', '--tpmstate', `dir=${stateDirectory},mode=0600`],
    ...['--ctrl', `type=unixio,path=${socket}`, '--terminate', '--runas', `${userId}`],
  ])
  const log = await open(
    logPath,
    constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND,
    0o600,
  )
  const child = spawn(file, args, { cwd: runDirectory, detached: true, stdio: ['ignore', log.fd, log.fd] })
  await log.close()
  child.unref()
  let isOver = false
  child.once('exit', () => (isOver = true))
  child.once('error', () => (isOver = true))
  const givesUpAt = performance.now() + startTimeoutMs
  while (!(await isSocket(socket))) {
    if (isOver || performance.now() > givesUpAt) {
      child.kill('SIGKILL')
      const words = (await readFile(logPath, 'utf8').catch(() => '')).trim().slice(-500)
      throw new DialtoneError(
        'hypervisor-failed',
        `the TPM (swtpm) could not be started: ${words || 'it said nothing'}`,
      )
    }
    await delay(lookAgainMs)
  }
  return () => void child.kill('SIGKILL')
}

function isSocket(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isSocket(),
    () => false,
  )
}
