/** Starts QEMU so that it outlives the agent, in the machine's cgroup from its first instruction, its words in a log file. */
import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { open, stat, truncate, writeFile } from 'node:fs/promises'
import { Duplex } from 'node:stream'
import { inCgroup } from '../../../linux/run-command.ts'
import { DialtoneError } from '../../../model/dialtone-error.ts'

/** How a process ended, as far as it can be known: an adopted one is no child, so its exit code is not told. */
export type ProcessEnding = { readonly code: number | undefined; readonly signal: string | undefined }

export type QemuProcess = {
  readonly pid: number
  /** Resolves when the process is reaped. Never rejects. */
  readonly ended: Promise<ProcessEnding>
  /** The other end of what it finds as its file descriptor 3, if that is to be a stream. */
  readonly stream: Duplex | undefined
}

export type ProcessOptions = {
  readonly binary: string
  readonly args: readonly string[]
  readonly cgroupDirectory: string
  readonly runDirectory: string
  readonly logPath: string
  /** An open file that the process finds as its file descriptor 3; or a two-way stream, whose other end is here. */
  readonly inherited?: number | 'stream'
  /** In a network of its own, where a tap of any name is there for it and leads nowhere. */
  readonly isCutOff?: boolean
}

/** The log is kept below this size while an agent watches the machine; the older half is dropped. */
export const maximumLogBytes = 1024 * 1024

export async function startQemuProcess(options: ProcessOptions): Promise<QemuProcess> {
  // Appending, so that the file may be cut while QEMU writes to it.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND
  const log = await open(options.logPath, flags, 0o600)
  try {
    const program = options.isCutOff === true ? ['unshare', '--net', options.binary] : [options.binary]
    const [first = options.binary, ...rest] = [...program, ...options.args]
    const [file, ...args] = inCgroup(options.cgroupDirectory, first, rest)
    const child = spawn(file ?? options.binary, args, {
      cwd: options.runDirectory,
      detached: true,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', log.fd, log.fd, ...inheritedOf(options)],
    })
    child.unref()
    const ended = new Promise<ProcessEnding>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }))
      child.once('error', () => resolve({ code: undefined, signal: undefined }))
    })
    if (child.pid === undefined) throw new DialtoneError('machine-setup', `${file} cannot be started`)
    const stream = child.stdio[3]
    return { pid: child.pid, ended, stream: stream instanceof Duplex ? stream : undefined }
  } finally {
    await log.close()
  }
}

function inheritedOf({ inherited }: ProcessOptions): (number | 'pipe')[] {
  if (inherited === undefined) return []
  return [inherited === 'stream' ? 'pipe' : inherited]
}

/** The last lines of a log in one, without their time stamps; empty when there are none. */
export async function lastLogLines(path: string, count: number): Promise<string> {
  const lines = (await readTail(path, 4096)).trimEnd().split('\n').slice(-count)
  return lines
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT\S+ /, ''))
    .join('; ')
    .slice(0, 1000)
}

/** False when `promise` is not settled in time. */
export async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = Promise.withResolvers<boolean>()
  const timeout = setTimeout(() => timer.resolve(false), timeoutMs)
  try {
    return await Promise.race([promise.then(() => true), timer.promise])
  } finally {
    clearTimeout(timeout)
  }
}

/** Cuts a log that has grown over `maximumLogBytes` to its newer half. What is written in the same instant may be lost. */
export async function boundLog(path: string): Promise<void> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0
  if (size <= maximumLogBytes) return
  const tail = await readTail(path, maximumLogBytes / 2)
  await truncate(path, 0)
  await writeFile(path, tail, { flag: 'a' })
}

async function readTail(path: string, bytes: number): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const buffer = Buffer.alloc(Math.min(size, bytes))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, Math.max(0, size - bytes))
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
