/**
 * `npm run sim:many -- --minutes 10 | --episodes 200000 [--seed 1] [--workers 2] [--violations 3] [--quiet-cluster]`: episodes on all cores,
 * from that seed on, and what they come to. Says every half minute how far it is. Ends at the first violations, each with what is left of it
 * when it is made as small as it can be; SIGTERM or SIGINT end it as well, with the summary of what has been.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { addEpisode, describeProgress, describeTally, emptyTally } from './tally.ts'
import type { Assignment, Told } from './worker/main.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    episodes: { type: 'string' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    violations: { type: 'string', default: '3' },
    'quiet-cluster': { type: 'boolean', default: false },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
const mostEpisodes = Number(values.episodes ?? Infinity)
// As long as so many episodes take, when only their number is said.
const minutes = Number(values.minutes ?? (values.episodes === undefined ? 1 : Infinity))
const workers = Number(values.workers)
const mostViolations = Number(values.violations)
let nextSeed = Number(values.seed)
if (
  !(minutes > 0) ||
  !Number.isInteger(nextSeed) ||
  !(workers >= 1) ||
  !(mostEpisodes >= 1) ||
  !(mostViolations >= 1)
) {
  print('--minutes, --episodes, --workers and --violations are positive, --seed is a whole number')
  process.exit(2)
}

const seedsAtOnce = 8
const tellEveryMs = 30_000
/** Most of what an episode makes is gone with it: with room for it, hardly anything is looked at twice. */
const resourceLimits = { maxYoungGenerationSizeMb: 128 }
const beganAtMs = performance.now()
const firstSeed = nextSeed
const tally = emptyTally()
let isEnded = false
const end = () => {
  isEnded = true
}
process.once('SIGTERM', end)
process.once('SIGINT', end)
const tookMs = () => performance.now() - beganAtMs
const kindOfSeeds = values['quiet-cluster'] ? ' of quiet clusters' : ''

print(`from seed ${firstSeed}${kindOfSeeds}, ${workers} at a time`)
const telling = setInterval(
  () => print(`${describeProgress(tally, tookMs())}; seeds ${firstSeed} to ${nextSeed - 1}`),
  tellEveryMs,
)
await Promise.all(Array.from({ length: workers }, runWorker))
clearInterval(telling)
for (const line of describeTally(tally, tookMs())) print(line)
print(`seeds ${firstSeed} to ${nextSeed - 1}${kindOfSeeds}`)
const falseFailovers = values['quiet-cluster'] ? tally.fenced + tally.restarts : 0
if (values['quiet-cluster']) print(`${falseFailovers} false failovers`)
process.exitCode = tally.violations + falseFailovers === 0 ? 0 : 1

function isOver(): boolean {
  const isLate = tookMs() >= minutes * 60_000
  return isEnded || isLate || tally.violations >= mostViolations || nextSeed - firstSeed >= mostEpisodes
}

function runWorker(): Promise<void> {
  const worker = new Worker(new URL('./worker/main.ts', import.meta.url), { resourceLimits })
  const give = () => {
    const count = Math.min(seedsAtOnce, mostEpisodes - (nextSeed - firstSeed))
    const seeds = Array.from({ length: count }, (_one, index) => nextSeed + index)
    nextSeed += count
    worker.postMessage({ seeds, isQuiet: values['quiet-cluster'] } satisfies Assignment)
  }
  return new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('message', (told: Told) => {
      if (told.kind === 'episode') return take(told)
      if (!isOver()) return give()
      void worker.terminate().then(() => resolve())
    })
    if (isOver()) void worker.terminate().then(() => resolve())
    else give()
  })
}

function take({ tally: episode, failure }: Extract<Told, { kind: 'episode' }>): void {
  addEpisode(tally, episode)
  for (const line of failure) print(line)
  if (values['quiet-cluster'] && episode.fenced + episode.restarts > 0)
    print(`false failover: npm run sim -- --seed ${episode.seed} --quiet-cluster`)
}
