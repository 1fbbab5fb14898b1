/**
 * `npm run sim:many -- --minutes 10 | --episodes 200000 [--seed 1] [--workers 2] [--violations 3] [--quiet-cluster]`: episodes on all cores,
 * from that seed on, and what they come to. Says every half minute how far it is. Ends at the first violations, each with what is left of it
 * when it is made as small as it can be; SIGTERM or SIGINT end it as well, with the summary of what has been. An episode that does not end, or
 * that ends its worker, is a violation of its own.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { addEpisode, addLost, describeProgress, describeTally, emptyTally } from './tally.ts'
import { mostProcessorMs, watchEpisodes } from './watch-episode.ts'
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
const lookEveryMs = 5_000
/** Most of what an episode makes is gone with it: with room for it, hardly anything is looked at twice. */
const resourceLimits = { maxYoungGenerationSizeMb: 128 }
const beganAtMs = performance.now()
const firstSeed = nextSeed
const tally = emptyTally()
/** Seeds that were given to a worker which is no more. */
let handedBack: readonly number[] = []
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
await Promise.all(Array.from({ length: workers }, runWorkers))
clearInterval(telling)
for (const line of describeTally(tally, tookMs())) print(line)
print(`seeds ${firstSeed} to ${nextSeed - 1}${kindOfSeeds}`)
const falseFailovers = values['quiet-cluster'] ? tally.fenced + tally.restarts : 0
if (values['quiet-cluster']) print(`${falseFailovers} false failovers`)
process.exitCode = tally.violations + falseFailovers === 0 ? 0 : 1

function isOver(): boolean {
  const isLate = tookMs() >= minutes * 60_000
  const areAllGiven = handedBack.length === 0 && nextSeed - firstSeed >= mostEpisodes
  return isEnded || isLate || tally.violations >= mostViolations || areAllGiven
}

function nextSeeds(): readonly number[] {
  const again = handedBack.slice(0, seedsAtOnce)
  handedBack = handedBack.slice(again.length)
  if (again.length > 0) return again
  const count = Math.min(seedsAtOnce, mostEpisodes - (nextSeed - firstSeed))
  nextSeed += count
  return Array.from({ length: count }, (_one, index) => nextSeed - count + index)
}

/** One worker after the other, where one gets lost. */
async function runWorkers(): Promise<void> {
  while (!isOver()) await runWorker()
}

/** Resolves when nothing is left to do, or this worker is lost. */
function runWorker(): Promise<void> {
  const worker = new Worker(new URL('./worker/main.ts', import.meta.url), { resourceLimits })
  const watch = watchEpisodes()
  let seeds: readonly number[] = []
  let playing: number | undefined
  const give = () => {
    seeds = nextSeeds()
    worker.postMessage({ seeds, isQuiet: values['quiet-cluster'] } satisfies Assignment)
  }
  return new Promise((resolve) => {
    const leave = () => {
      clearInterval(looking)
      void worker.terminate().then(() => resolve())
    }
    const lose = (seed: number, why: string) => {
      noteLost(seed, why)
      handedBack = [...handedBack, ...seeds.filter((one) => one !== seed)]
      leave()
    }
    const look = async () => {
      const { user, system } = await worker.cpuUsage()
      if (playing !== undefined && watch.isEndless((user + system) / 1_000))
        lose(playing, `it has not ended after ${mostProcessorMs / 1_000} s of processor time`)
    }
    // One that is just ending tells nothing any more.
    const looking = setInterval(() => void look().catch(() => undefined), lookEveryMs)
    worker.on('error', (error) => {
      if (playing === undefined) throw error
      lose(playing, `its worker ended: ${String(error)}`)
    })
    worker.on('message', (told: Told) => {
      if (told.kind === 'begins') {
        playing = told.seed
        watch.begins()
      } else if (told.kind === 'episode') {
        seeds = seeds.filter((seed) => seed !== told.tally.seed)
        take(told)
      } else if (isOver()) leave()
      else give()
    })
    give()
  })
}

function noteLost(seed: number, why: string): void {
  addLost(tally)
  print(`seed ${seed} violates episodes-end`)
  print(`  ${why}`)
  print(`  replay: npm run sim -- --seed ${seed}${values['quiet-cluster'] ? ' --quiet-cluster' : ''}`)
}

function take({ tally: episode, failure }: Extract<Told, { kind: 'episode' }>): void {
  addEpisode(tally, episode)
  for (const line of failure) print(line)
  if (values['quiet-cluster'] && episode.fenced + episode.restarts > 0)
    print(`false failover: npm run sim -- --seed ${episode.seed} --quiet-cluster`)
}
