/**
 * `npm run sim:mutants [-- --only ID,ID --episodes 600 --from 1 --workers 2]`: puts every seeded bug in, one at a time, and looks whether the
 * simulator notices. The working tree is not touched.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { catalogue } from './catalogue.ts'
import { huntMutant, openThread } from './hunt-mutant.ts'
import type { Mutant } from './mutant.ts'
import { describeHunt, describeHunts, type HuntedMutant } from './report.ts'
import type { Assigned } from './worker/main.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    episodes: { type: 'string', default: '600' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
const mostEpisodes = Number(values.episodes)
const firstNumber = Number(values.from)
const workers = Number(values.workers)
const only = values.only?.split(',')
const unknown = only?.find((wanted) => !catalogue.some(({ id }) => id === wanted))
if (!(mostEpisodes >= 1) || !Number.isInteger(firstNumber) || !(workers >= 1) || unknown !== undefined) {
  print(
    `--episodes, --from and --workers are whole numbers, --only some of: ${catalogue.map(({ id }) => id).join(', ')}`,
  )
  process.exit(2)
}

const left: Mutant[] = catalogue.filter(({ id }) => only?.includes(id) ?? true)
const hunted: HuntedMutant[] = []
const product = openThread(null)
const known = new Map<string, readonly string[]>()
let turn: Promise<unknown> = Promise.resolve()

await Promise.all(Array.from({ length: workers }, work))
await product[Symbol.asyncDispose]()
for (const line of describeHunts(hunted)) print(line)
process.exitCode = hunted.every(({ mutant, hunt }) => hunt.kind === 'caught' || mutant.survives !== undefined) ? 0 : 1

async function work(): Promise<void> {
  for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
    const hunt = await huntMutant(mutant, { mostEpisodes, firstNumber, plain })
    hunted.push({ mutant, hunt })
    print(describeHunt({ mutant, hunt }))
  }
}

/** One at a time, and each but once. */
function plain(assigned: Assigned): Promise<readonly string[]> {
  const key = JSON.stringify(assigned)
  const next = turn.then(async () => {
    const seen = known.get(key) ?? (await product.judge(assigned)).violations.map(({ checker }) => checker)
    known.set(key, seen)
    return seen
  })
  turn = next.catch(() => undefined)
  return next
}
