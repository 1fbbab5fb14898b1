/** A program that is the first process of its own process namespace, held by a pipe: all below it ends with it, and it with us. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { networkNamespacePath } from '../../src/linux/network-namespace.ts'
import { DialtoneError } from '../../src/model/dialtone-error.ts'

export type HeldNamespaces = AsyncDisposable & {
  /** Of the first process, as the machine counts. */
  readonly pid: number
  /** SIGKILL for everything in it at once; resolves when the first process was reaped, which the kernel does last. */
  kill(): Promise<void>
}

const readyWithinMs = 20_000
const endWithinMs = 20_000

/**
 * Starts a program in the named network namespace, in new mount, process and host name namespaces. It says `ready` on its output and ends
 * at the end of its input. Throws `machine-setup` with its words when it doesn't get so far.
 */
export async function holdNamespaces(namespace: string, program: readonly string[]): Promise<HeldNamespaces> {
  const unshare = ['unshare', '--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc']
  const args = [`--net=${networkNamespacePath(namespace)}`, ...unshare, '--propagation', 'private', ...program]
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  try {
    await untilReady(child, program)
    const pid = await onlyChildOf(child.pid ?? 0)
    const kill = async () => {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGKILL')
      await within(ended, `the processes of ${namespace} do not end`)
    }
    return { pid, kill, [Symbol.asyncDispose]: kill }
  } catch (error) {
    child.kill('SIGKILL')
    await ended
    throw error
  }
}

/** The program's output is read on afterwards, so that it never waits for a reader. */
function untilReady(child: ChildProcess, program: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let words = ''
    const fail = (why: string) => {
      clearTimeout(timer)
      reject(new DialtoneError('machine-setup', `${program.slice(0, 3).join(' ')} ${why}: ${words.trim()}`))
    }
    const timer = setTimeout(() => fail('is not ready in time'), readyWithinMs)
    const read = (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-2000)
      if (!/^ready$/m.test(words)) return
      clearTimeout(timer)
      resolve()
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('error', (error) => fail(`cannot be started (${error.message})`))
    child.once('exit', (code) => fail(`ended with ${code}`))
  })
}

async function onlyChildOf(pid: number): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const child = Number.parseInt(children, 10)
  if (Number.isNaN(child)) throw new DialtoneError('machine-setup', `process ${pid} has no child`)
  return child
}

async function within(ending: Promise<void>, otherwise: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DialtoneError('deadline-exceeded', otherwise)), endWithinMs)
  })
  await Promise.race([ending, late]).finally(() => clearTimeout(timer))
}
