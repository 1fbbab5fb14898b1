/**
 * `npm run check`: everything that can be said of the sources without running them. The parts run side by side; each
 * prints one line, and what it found if it failed. Names of parts as arguments run only those.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { styleText } from 'node:util'

type Part = { readonly name: string; readonly promise: string; readonly command: readonly [string, ...string[]] }
type Outcome = { readonly isPassed: boolean; readonly output: string; readonly seconds: number }

const root = join(import.meta.dirname, '..')
const binaries = join(root, 'node_modules/.bin')
const partTimeoutMs = 600_000

const parts: readonly Part[] = [
  { name: 'types', promise: 'every source', command: ['tsc', '-p', '.'] },
  { name: 'web', promise: 'the console, with a browser around it', command: ['tsc', '-p', 'src/web'] },
  { name: 'pure', promise: 'no platform in model and control', command: ['tsc', '-p', 'tsconfig.pure.json'] },
  {
    name: 'lint',
    promise: '.oxlintrc.json',
    command: ['oxlint', '--type-aware', '--deny-warnings', '--format=unix', '.'],
  },
  { name: 'format', promise: 'biome.json; mend by npm run format', command: ['biome', 'check', '.'] },
  { name: 'architecture', promise: 'docs/architecture.md', command: ['node', 'tools/architecture/main.ts'] },
]

/** True if all those parts found nothing. */
export async function runChecks(chosen: readonly string[] = []): Promise<boolean> {
  const wanted = parts.filter(({ name }) => chosen.length === 0 || chosen.includes(name))
  const outcomes = await Promise.all(
    wanted.map(async (part) => {
      const outcome = await runPart(part)
      report(part, outcome)
      return outcome
    }),
  )
  return outcomes.every(({ isPassed }) => isPassed)
}

function report(part: Part, { isPassed, output, seconds }: Outcome): void {
  const mark = isPassed ? styleText('green', '✔') : styleText('red', '✖')
  console.log(`${mark} ${part.name.padEnd(13)} ${seconds.toFixed(1)} s  ${part.promise}`)
  if (!isPassed) console.log(`${output.trimEnd()}\n`)
}

function runPart({ command: [program, ...args] }: Part): Promise<Outcome> {
  const startedAtMs = performance.now()
  const env = { ...process.env, PATH: `${binaries}:${process.env['PATH'] ?? ''}` }
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: partTimeoutMs })
  const chunks: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
  }
  return new Promise((resolve) => {
    const settle = (isPassed: boolean) =>
      resolve({ isPassed, output: chunks.join(''), seconds: (performance.now() - startedAtMs) / 1000 })
    child.on('error', (error) => {
      chunks.push(`${program}: ${error.message}`)
      settle(false)
    })
    child.on('close', (code, signal) => {
      if (signal !== null) chunks.push(`${program} was ended by ${signal}`)
      settle(code === 0)
    })
  })
}

if (import.meta.main) {
  const chosen = process.argv.slice(2)
  const unknown = chosen.find((name) => !parts.some((part) => part.name === name))
  if (unknown !== undefined) {
    console.error(`there is no part ${unknown}; there are: ${parts.map(({ name }) => name).join(', ')}`)
    process.exit(2)
  }
  process.exitCode = (await runChecks(chosen)) ? 0 : 1
}
