/** Runs one check with Debian's `spin`: makes a verifier of the model, compiles it, and lets it look at every state. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ModelCheck } from './model-checks.ts'

export type CheckOutcome = {
  readonly check: ModelCheck
  readonly isAsExpected: boolean
  readonly states: number
  readonly depth: number
  readonly memoryMiB: number
  readonly seconds: number
  /** The shortest history that breaks an assertion, a line an action; empty when none does. */
  readonly trail: readonly string[]
}

const models = join(import.meta.dirname, '../../docs/model')
const run = promisify(execFile)
const memoryLimitMiB = 1000
const timeoutMs = 300_000

/** Throws when the tools are missing or the search did not end: an unfinished search proves nothing. */
export async function runCheck(check: ModelCheck): Promise<CheckOutcome> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-model-'))
  try {
    await cp(models, directory, { recursive: true })
    const options = { cwd: directory, timeout: timeoutMs, maxBuffer: 64 * 2 ** 20 }
    const file = `${check.model}.pml`
    const defines = check.defines.map((define) => `-D${define}`)
    await run('spin', [...defines, '-a', file], options)
    // Breadth first finds the shortest history; depth first needs less memory where there is none to be found.
    const search = check.expected === 'holds' ? ['-DNOREDUCE'] : ['-DBFS']
    await run('gcc', ['-O2', '-w', '-DSAFETY', `-DMEMLIM=${memoryLimitMiB}`, ...search, '-o', 'pan', 'pan.c'], options)
    const startedAtMs = performance.now()
    const { stdout } = await run('./pan', ['-E', '-n', ...(check.expected === 'holds' ? ['-m1000000'] : [])], options)
    const seconds = (performance.now() - startedAtMs) / 1000
    const errors = figure(stdout, /errors: (\d+)/)
    const isCutShort = /max search depth too small|out of memory|memory limit/i.test(stdout)
    if (isCutShort || (errors === 0 && stdout.includes('Search not completed')))
      throw new Error(`the search of ${file} ${defines.join(' ')} did not end:\n${stdout}`)
    const trail = errors === 0 ? [] : await readTrail({ directory, file, defines })
    return {
      check,
      isAsExpected: check.expected === 'holds' ? errors === 0 : errors > 0 && trail.length > 0,
      states: figure(stdout, /(\d+) states, stored/),
      depth: figure(stdout, /depth reached (\d+)/),
      memoryMiB: Math.round(figure(stdout, /([\d.]+)\s+total actual memory usage/)),
      seconds,
      trail,
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** In the words that the model itself says at each action. */
async function readTrail({
  directory,
  file,
  defines,
}: {
  readonly directory: string
  readonly file: string
  readonly defines: readonly string[]
}): Promise<readonly string[]> {
  await readFile(join(directory, `${file}.trail`))
  const { stdout } = await run('spin', [...defines, '-T', '-t', file], { cwd: directory, timeout: timeoutMs })
  const end = stdout.search(/^spin: /m)
  return stdout
    .slice(0, end === -1 ? undefined : end)
    .split('\n')
    .filter((line) => line !== '')
}

function figure(output: string, pattern: RegExp): number {
  const [, digits] = pattern.exec(output) ?? []
  if (digits === undefined) throw new Error(`spin did not say ${pattern.source}:\n${output}`)
  return Number(digits)
}
