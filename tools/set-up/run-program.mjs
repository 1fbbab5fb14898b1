/** Runs the programs of the set-up: their output is kept for the case that they fail, and nobody waits for ever. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const patienceMs = 10_000

/** A step of the set-up cannot be done; the message says what the reader can do. */
export class SetUpError extends Error {
  /** @override */
  name = 'SetUpError'
}

/**
 * Resolves with what the program wrote. Throws SetUpError with the end of its output if it fails or takes too long.
 *
 * @param {readonly [string, ...string[]]} command
 * @param {{
 *   readonly timeoutMs: number,
 *   readonly env?: NodeJS.ProcessEnv,
 *   readonly cwd?: string,
 *   readonly onLine?: (line: string) => void,
 *   readonly onStatus?: (line: string) => void,
 * }} options `onStatus`: lines that it writes to file descriptor 3
 * @returns {Promise<string>}
 */
export function runProgram([program, ...args], { timeoutMs, env = process.env, cwd, onLine, onStatus }) {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], timeout: timeoutMs })
  /** @type {string[]} */
  const lines = []
  /** @param {number} descriptor @param {(line: string) => void} onEach */
  const follow = (descriptor, onEach) => {
    const input = child.stdio[descriptor]
    if (input !== null && input !== undefined && 'read' in input) createInterface({ input }).on('line', onEach)
  }
  for (const descriptor of [1, 2]) {
    follow(descriptor, (line) => {
      lines.push(line)
      onLine?.(line)
    })
  }
  follow(3, (line) => onStatus?.(line))
  return new Promise((resolve, reject) => {
    const isInterrupted = endWithThisProcess(child)
    child.on('error', (error) => reject(new SetUpError(`${program}: ${error.message}`)))
    child.on('close', (code, signal) => {
      if (isInterrupted()) return reject(new SetUpError('Interrupted. To go on, start again.'))
      if (code === 0) return resolve(lines.join('\n'))
      const end = signal === null ? `ended with ${code}` : `was ended by ${signal}`
      reject(new SetUpError(`${[program, ...args].join(' ')}\n${lines.slice(-30).join('\n')}\n${program} ${end}`))
    })
  })
}

/**
 * A program that outlived an interrupted set-up would work against the next one: this process stays, with its lock,
 * until the program is gone.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
function endWithThisProcess(child) {
  let isInterrupted = false
  const interrupt = () => {
    isInterrupted = true
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), patienceMs).unref()
  }
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
  for (const signal of signals) process.on(signal, interrupt)
  child.on('close', () => {
    for (const signal of signals) process.off(signal, interrupt)
  })
  return () => isInterrupted
}
