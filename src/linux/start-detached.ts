/** Starts a program that outlives its starter: own session, own log, and in its cgroup from its first instruction on. */
import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { DialtoneError } from '../model/dialtone-error.ts'
import { inCgroup } from './run-command.ts'

export type DetachedProgram = {
  /** Program and arguments. */
  readonly command: readonly string[]
  readonly cgroupDirectory: string
  /** Standard output and standard error are appended to it. */
  readonly logFile: string
  readonly environment: Readonly<Record<string, string>>
}

/** Resolves with the process id when the program was started; throws `machine-setup` when it couldn't be. */
export async function startDetached(program: DetachedProgram): Promise<number> {
  const [first = '', ...rest] = program.command
  const [file = '', ...args] = inCgroup(program.cgroupDirectory, first, rest)
  await using log = await open(program.logFile, 'a')
  const child = spawn(file, args, {
    cwd: '/',
    detached: true,
    env: program.environment,
    stdio: ['ignore', log.fd, log.fd],
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => reject(new DialtoneError('machine-setup', `${first} cannot be started`, { cause })))
  })
  child.unref()
  if (child.pid === undefined) throw new DialtoneError('machine-setup', `${first} has no process id`)
  return child.pid
}
