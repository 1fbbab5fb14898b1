/**
 * `npm run sim:many -- --minutes 10 [--seed 1] [--workers 2] [--quiet-cluster]`: episodes on all cores, from that seed on, and what they come to.
 * Ends at the first violations; says how each is repeated.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { addEpisode, describeTally, emptyTally } from './tally.ts'
import type { Assignment, Told } from './worker/main.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    episodes: { type: 'string' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: String(availableParallelism()) },
    'quiet-cluster': { type: 'boolean', default: false },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
const minutes = Number(values.minutes)
const mostEpisodes = Number(values.episodes ?? Infinity)
const workers = Number(values.workers)
let nextSeed = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(nextSeed) || !(workers >= 1) || !(mostEpisodes >= 1)) {
  print('--minutes and --workers are positive, --seed is a whole number')
  process.exit(2)
}

const mostFailures = 20
const seedsAtOnce = 8
const tellEveryMs = 30_000
const beganAtMs = performance.now()
const firstSeed = nextSeed
const tally = emptyTally()
let toldAtMs = beganAtMs

await Promise.all(Array.from({ length: workers }, runWorker))
for (const line of describeTally(tally, performance.now() - beganAtMs)) print(line)
print(`seeds ${firstSeed} to ${nextSeed - 1}${values['quiet-cluster'] ? ' of quiet clusters' : ''}`)
const falseFailovers = values['quiet-cluster'] ? tally.fenced + tally.restarts : 0
if (values['quiet-cluster']) print(`${falseFailovers} false failovers`)
process.exitCode = tally.violations + falseFailovers === 0 ? 0 : 1

function isOver(): boolean {
  const isLate = performance.now() - beganAtMs >= minutes * 60_000
  return isLate || tally.violations >= mostFailures || nextSeed - firstSeed >= mostEpisodes
}

function runWorker(): Promise<void> {
  const worker = new Worker(new URL('./worker/main.ts', import.meta.url))
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
    give()
  })
}

function take({ tally: episode, failure }: Extract<Told, { kind: 'episode' }>): void {
  addEpisode(tally, episode)
  for (const line of failure) print(line)
  if (values['quiet-cluster'] && episode.fenced + episode.restarts > 0)
    print(`false failover: npm run sim -- --seed ${episode.seed} --quiet-cluster`)
  if (performance.now() - toldAtMs < tellEveryMs) return
  toldAtMs = performance.now()
  print(`… ${tally.episodes} episodes, ${tally.violations} with a violation`)
}
