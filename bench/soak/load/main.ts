/**
 * `npm run soak:load -- [--minutes 60]`: every processor of this machine is busy while a three-host laboratory with power fencing runs
 * machines with HA. No host may be fenced, since none fails. Ends with 1 when one was; the outages that the load itself made are printed.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openLaboratory } from '../../../e2e/open-laboratory.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } })
const names = ['l1', 'l2', 'l3']
const lookEveryMs = 60_000

await using laboratory = await openLaboratory('load', ['--power-fence', '--post-delay', '500'])
for (const name of names) {
  await laboratory.deploy(name, { ha: true, recovery: { mode: 'warm' } })
  await laboratory.untilReady(name)
}
const began = await newestRevision()
await using _load = keepBusy()
const endsAtMs = performance.now() + Number(values.minutes) * 60_000
const suspected = new Set<number>()
const fenced = new Set<number>()
while (performance.now() < endsAtMs) {
  await delay(Math.min(lookEveryMs, endsAtMs - performance.now()))
  const { events } = await laboratory.api.call('listEvents', { query: { limit: 1000 } })
  for (const { kind, subject, message, revision } of events.filter((event) => event.revision > began)) {
    const known = kind === 'host.suspect' ? suspected : kind === 'host.fencing' ? fenced : undefined
    if (known === undefined || known.has(revision)) continue
    known.add(revision)
    process.stderr.write(`${kind} ${subject}: ${message}\n`)
  }
}
const { outages } = await laboratory.api.call('listOutages', { query: {} })
for (const { serviceName, cause, causeDetail, durationMs } of outages)
  process.stdout.write(`outage of ${serviceName}: ${durationMs ?? 'more than all of'} ms, ${cause}: ${causeDetail}\n`)
process.stdout.write(
  `${values.minutes} minutes with ${availableParallelism()} busy processors: ${fenced.size} false failovers, ${suspected.size} times a host was suspected, ${outages.length} outages\n`,
)
process.exitCode = fenced.size === 0 ? 0 : 1

async function newestRevision(): Promise<number> {
  const { events } = await laboratory.api.call('listEvents', { query: { limit: 1 } })
  return events.at(-1)?.revision ?? 0
}

/** One process a processor that does nothing but count. */
function keepBusy(): AsyncDisposable {
  const children = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  )
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(
        children.map((child) => {
          const ended = new Promise((resolve) => child.once('close', resolve))
          child.kill('SIGKILL')
          return ended
        }),
      )
    },
  }
}
