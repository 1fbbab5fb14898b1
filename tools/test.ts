/**
 * `npm test` after the set-up, and its parts by name: `node tools/test.ts [check] [unit] [scenario] [e2e]`. All tests
 * report through one runner, so that the counts at the end are those of all parts together.
 *
 * `node tools/test.ts e2e FILE [--rounds N] [--seed N]` runs one file of e2e/, in its long version.
 */
import { existsSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec, type TestEvent } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { runChecks } from './check.ts'
import { createTestTotals, totalOf } from './test-totals.ts'

type Part = {
  readonly name: string
  readonly patterns: readonly string[]
  readonly except?: readonly string[]
  /** So many files at a time. */
  readonly concurrency: number
  readonly timeoutMs: number
}

const root = join(import.meta.dirname, '..')

/** What they measure or wait for is a matter of seconds (leases, watchdogs, moments of a move): at most two share the machine. */
const needCalm = ['cloud-survives', 'faults', 'kill-while-moving', 'never-two-writers'].map(
  (file) => `e2e/${file}.test.ts`,
)
/** Its laboratories have homes of their own, and don't know which ports those of others have. */
const needTheMachine = ['e2e/laboratory.test.ts']

const processors = availableParallelism()
const parts: readonly Part[] = [
  {
    name: 'unit',
    patterns: [
      'src/**/*.test.ts',
      'recipes/**/*.test.ts',
      'tools/**/*.test.ts',
      'bench/**/*.test.ts',
      'e2e/operations/*.test.ts',
    ],
    concurrency: processors,
    timeoutMs: 120_000,
  },
  { name: 'scenario', patterns: ['scenarios/**/*.test.ts'], concurrency: processors, timeoutMs: 300_000 },
  {
    name: 'e2e',
    patterns: ['e2e/parts/*.test.ts', 'e2e/*.test.ts'],
    except: [...needCalm, ...needTheMachine],
    // Guests boot, leases run out: half of the time they wait.
    concurrency: processors + 1,
    timeoutMs: 900_000,
  },
  { name: 'e2e', patterns: needCalm, concurrency: 2, timeoutMs: 900_000 },
  { name: 'e2e', patterns: needTheMachine, concurrency: 1, timeoutMs: 900_000 },
]

/** Runs these parts in order, all of them even if one fails, and says whether all passed. */
async function testParts(chosen: readonly Part[]): Promise<boolean> {
  const totals = createTestTotals()
  const events = Readable.from(runParts(chosen, totals.add))
  await new Promise<void>((resolve, reject) => {
    const report = events.pipe(new spec())
    events.on('error', reject)
    report.on('error', reject).on('end', resolve)
    report.pipe(process.stdout, { end: false })
  })
  return totals.isPassed()

  async function* runParts(wanted: readonly Part[], add: (event: TestEvent) => void): AsyncGenerator<TestEvent> {
    for (const part of wanted) {
      for await (const event of runPart(part)) {
        add(event)
        if (totalOf(event) === undefined) yield event
      }
    }
    yield* totals.closingEvents()
  }
}

async function* runPart({ name, patterns, except = [], concurrency, timeoutMs }: Part): AsyncGenerator<TestEvent> {
  const files: string[] = []
  for await (const file of glob([...patterns], { cwd: root, exclude: [...except] })) files.push(join(root, file))
  if (files.length === 0) return console.log(`there are no tests in ${name}`)
  yield* run({
    files: files.sort(),
    cwd: root,
    concurrency,
    timeout: timeoutMs,
  })
}

/** A round of the longest kind, with everything that has to settle after it. */
const roundTimeoutMs = 180_000

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string' }, seed: { type: 'string' } },
})
// The tests read them there, also when one of them is run by itself.
if (values.rounds !== undefined) process.env['ROUNDS'] = values.rounds
if (values.seed !== undefined) process.env['SEED'] = values.seed
const chosen = chooseParts(positionals)
if (typeof chosen === 'string') {
  console.error(chosen)
  process.exit(2)
}
const isChecked = !chosen.isChecked || (await runChecks())
const arePassed = await testParts(chosen.parts)
if (!isChecked) console.log('✖ check failed: see above')
process.exitCode = isChecked && arePassed ? 0 : 1

/** Or a sentence that says what there is. */
function chooseParts(
  words: readonly string[],
): { readonly isChecked: boolean; readonly parts: readonly Part[] } | string {
  const [first, file, ...rest] = words
  const e2e = parts.find(({ name }) => name === 'e2e')
  const names = ['check', ...new Set(parts.map(({ name }) => name))]
  if (first === 'e2e' && file !== undefined && !names.includes(file) && rest.length === 0 && e2e !== undefined) {
    const pattern = `e2e/${file}.test.ts`
    if (!existsSync(join(root, pattern))) return `there is no ${pattern}`
    const timeoutMs = Math.max(e2e.timeoutMs, Number(values.rounds ?? 0) * roundTimeoutMs)
    return { isChecked: false, parts: [{ ...e2e, patterns: [pattern], except: [], timeoutMs }] }
  }
  const wanted = words.length > 0 ? words : names
  const unknown = wanted.find((name) => !names.includes(name))
  if (unknown !== undefined) return `there is no part ${unknown}; there are: ${names.join(', ')}`
  return { isChecked: wanted.includes('check'), parts: parts.filter(({ name }) => wanted.includes(name)) }
}
