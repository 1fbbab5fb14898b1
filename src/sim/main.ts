/** `npm run sim -- --seed 7 [--episodes 10] [--faults power-off,qemu-dies] [--quiet-cluster]`: runs episodes, and prints what happens in them. */
import { parseArgs } from 'node:util'
import { faultKinds } from './episode/draw-fault.ts'
import { describePlan } from './episode/episode-plan.ts'
import { makeEpisode, makeQuietEpisode } from './episode/make-episode.ts'
import { runEpisode } from './episode/run-episode.ts'
import { shrinkEpisode } from './episode/shrink-episode.ts'
import { tellShrunk, tellViolations } from './episode/tell-failure.ts'
import { formatLine } from './world/world-log.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    episodes: { type: 'string', default: '1' },
    faults: { type: 'string' },
    'quiet-cluster': { type: 'boolean', default: false },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
const first = Number(values.seed)
const count = Number(values.episodes)
const among = values.faults?.split(',')
const unknown = among?.find((kind) => !faultKinds.some((known) => known === kind))
if (!Number.isInteger(first) || !(count >= 1) || unknown !== undefined) {
  print(`--seed is a whole number, --episodes a positive one, and --faults some of: ${faultKinds.join(', ')}`)
  process.exit(2)
}

let violated = 0
for (let seed = first; seed < first + count; seed += 1) {
  const plan = values['quiet-cluster']
    ? makeQuietEpisode(seed)
    : makeEpisode({ seed, among: faultKinds.filter((kind) => among?.includes(kind) ?? true) })
  for (const line of describePlan(plan)) print(line)
  const result = await runEpisode(plan)
  for (const line of result.log) print(formatLine(line))
  if (result.violations.length === 0) {
    print(`seed ${seed}: nothing was violated in ${(result.simulatedMs / 1000).toFixed(1)} s`)
    continue
  }
  violated += 1
  for (const line of tellViolations(result)) print(line)
  const shrunk = await shrinkEpisode(plan, result, { run: runEpisode, attempts: 60 })
  for (const line of tellShrunk(shrunk.plan, shrunk.result)) print(line)
}
process.exitCode = violated === 0 ? 0 : 1
