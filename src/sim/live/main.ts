/** `npm run dev [-- --port 7400 --hosts 6 --past 10 --calm]`: a whole cloud of simulated hosts with the console, in real time. */
import { parseArgs } from 'node:util'
import { systemClock } from '../../linux/system-clock.ts'
import { createSeededRandom } from '../seeded-random.ts'
import { startLiveCloud } from './live-cloud.ts'
import { doSomething } from './lively.ts'
import { livePassword, seedCloud } from './seed-cloud.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '7400' },
    hosts: { type: 'string', default: '6' },
    /** Minutes of it. */
    past: { type: 'string', default: '10' },
    seed: { type: 'string', default: '7' },
    calm: { type: 'boolean', default: false },
  },
})
const print = (line: string) => void process.stdout.write(`${line}\n`)
const random = createSeededRandom(Number(values.seed), 'lively')

print('making a cloud and its past …')
const world = await seedCloud({
  seed: Number(values.seed),
  hosts: Number(values.hosts),
  pastMs: Number(values.past) * 60_000,
})
const cloud = await startLiveCloud(world, Number(values.port))
print(`${cloud.url}   sign in as admin, olga (operator) or vera (viewer), password: ${livePassword}`)

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())
while (!stopping.signal.aborted) {
  await systemClock.sleep(random.between(8_000, 25_000), stopping.signal)
  if (!values.calm && !stopping.signal.aborted) doSomething(world, random)
}
await cloud[Symbol.asyncDispose]()
