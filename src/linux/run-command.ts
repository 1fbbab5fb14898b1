/** Runs one program to its end, with a deadline. No shell: arguments are passed as they are. */
import { spawn } from 'node:child_process'
import { DialtoneError, type ErrorCode } from '../model/dialtone-error.ts'

export type CommandOptions = {
  readonly timeoutMs: number
  /** Code of the error thrown when the program fails. */
  readonly errorCode?: ErrorCode
  readonly input?: string
  /** cgroup v2 directory that the program runs in from its first instruction. */
  readonly cgroupDirectory?: string
  readonly signal?: AbortSignal
}

const maximumOutputBytes = 16 * 1024 * 1024

/** Resolves with standard output when the program exits with 0; throws DialtoneError with its last words otherwise. */
export async function runCommand(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const errorCode = options.errorCode ?? 'machine-setup'
  const [file, ...argv] =
    options.cgroupDirectory === undefined ? [program, ...args] : inCgroup(options.cgroupDirectory, program, args)
  const child = spawn(file ?? program, argv, { stdio: ['pipe', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    if (output.stdout.length < maximumOutputBytes) output.stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr = (output.stderr + chunk).slice(-8192)
  })
  // A program that ends before it has read its input is judged by its exit code, not by the broken pipe.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const ending = await endOf(child, options)
  if (ending === 'exit 0') return output.stdout
  const words = output.stderr.trim() || output.stdout.trim().slice(-2000)
  const code = ending === 'deadline' ? 'deadline-exceeded' : ending === 'aborted' ? 'cancelled' : errorCode
  throw new DialtoneError(
    code,
    `${program} ${args.slice(0, 6).join(' ')}: ${ending}${words === '' ? '' : `: ${words}`}`,
  )
}

/**
 * The program and arguments that run `program` inside a cgroup from its first instruction on, at ordinary priority: whoever starts it
 * may be of a higher one, which is not for machines and tools.
 */
export function inCgroup(cgroupDirectory: string, program: string, args: readonly string[]): string[] {
  return [
    '/bin/sh',
    '-c',
    'echo $$ > "$0/cgroup.procs" && { renice -n 0 -p $$ > /dev/null 2>&1; exec "$@"; }',
    cgroupDirectory,
    program,
    ...args,
  ]
}

function endOf(child: ReturnType<typeof spawn>, options: CommandOptions): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish('deadline'), options.timeoutMs)
    const onAbort = () => finish('aborted')
    const finish = (ending: string) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
      if (ending === 'deadline' || ending === 'aborted') child.kill('SIGKILL')
      resolve(ending)
    }
    child.once('error', (error) => finish(`could not be started (${error.message})`))
    child.once('close', (code, signal) => finish(code === null ? `ended by ${signal ?? 'a signal'}` : `exit ${code}`))
    if (options.signal?.aborted === true) onAbort()
    else options.signal?.addEventListener('abort', onAbort)
  })
}
