/**
 * `npm test` after the set-up, and its parts by name: `node tools/test.ts [check] [unit] [scenario] [e2e]`. All tests
 * report through one runner, so that the counts at the end are those of all parts together.
 */
import { glob } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { run } from 'node:test'
import { spec, type TestEvent } from 'node:test/reporters'
import { runChecks } from './check.ts'
import { createTestTotals, totalOf } from './test-totals.ts'

type Part = {
  readonly name: string
  readonly patterns: readonly string[]
  readonly isSequential: boolean
  readonly timeoutMs: number
}

const root = join(import.meta.dirname, '..')

const parts: readonly Part[] = [
  {
    name: 'unit',
    patterns: ['src/**/*.test.ts', 'recipes/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts'],
    isSequential: false,
    timeoutMs: 120_000,
  },
  { name: 'scenario', patterns: ['scenarios/**/*.test.ts'], isSequential: false, timeoutMs: 300_000 },
  // Real machines that share two cores: their time-outs hold only if they run one after the other.
  { name: 'e2e', patterns: ['e2e/**/*.test.ts'], isSequential: true, timeoutMs: 900_000 },
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

async function* runPart({ name, patterns, isSequential, timeoutMs }: Part): AsyncGenerator<TestEvent> {
  const files: string[] = []
  for await (const file of glob([...patterns], { cwd: root })) files.push(join(root, file))
  if (files.length === 0) return console.log(`there are no tests in ${name}`)
  yield* run({
    files: files.sort(),
    cwd: root,
    concurrency: isSequential ? 1 : availableParallelism(),
    timeout: timeoutMs,
  })
}

const names = ['check', ...parts.map(({ name }) => name)]
const wanted = process.argv.length > 2 ? process.argv.slice(2) : names
const unknown = wanted.find((name) => !names.includes(name))
if (unknown !== undefined) {
  console.error(`there is no part ${unknown}; there are: ${names.join(', ')}`)
  process.exit(2)
}
const isChecked = !wanted.includes('check') || (await runChecks())
const arePassed = await testParts(parts.filter(({ name }) => wanted.includes(name)))
if (!isChecked) console.log('✖ check failed: see above')
process.exitCode = isChecked && arePassed ? 0 : 1
