/** `npm run bench -- NAME [CASE…] [--runs N] [--json] [--list]`: each bench measures on a laboratory of its own and takes it down again. */
import { parseArgs } from 'node:util'
import type { Bench } from './bench.ts'
import { checkpoint } from './checkpoint.ts'
import { clone } from './clone.ts'
import { cloneDisk } from './clone-disk.ts'
import { evacuate } from './evacuate.ts'
import { failover } from './failover.ts'
import { figureJson, figureRows } from './figure.ts'
import { footprint } from './footprint.ts'
import { hotAdd } from './hot-add.ts'
import { migrate } from './migrate.ts'
import { migrateDisk } from './migrate-disk.ts'
import { recover } from './recover.ts'
import { restartPolicy } from './restart-policy.ts'
import { revert } from './revert.ts'
import { snapshot } from './snapshot.ts'

const benches: readonly Bench[] = [
  recover,
  failover,
  clone,
  cloneDisk,
  checkpoint,
  footprint,
  migrate,
  migrateDisk,
  evacuate,
  snapshot,
  revert,
  hotAdd,
  restartPolicy,
]
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})
const [name, ...cases] = positionals

if (values.list || name === undefined) {
  for (const bench of benches)
    process.stdout.write(`${bench.name}: ${bench.cases.join(', ')} (${bench.defaultRuns} runs)\n`)
} else {
  const bench = benches.find((one) => one.name === name)
  const unknown = cases.filter((one) => bench?.cases.includes(one) !== true)
  if (bench === undefined || unknown.length > 0) {
    process.stderr.write(`There is no bench ${name} ${unknown.join(' ')}: see npm run bench -- --list\n`)
    process.exit(2)
  }
  const figures = await bench.run({
    cases: cases.length > 0 ? cases : bench.cases,
    runs: Number(values.runs ?? bench.defaultRuns),
    note: (line) => process.stderr.write(`${line}\n`),
  })
  process.stdout.write(values.json ? `${figures.map(figureJson).join('\n')}\n` : `${figureRows(figures)}\n`)
}
