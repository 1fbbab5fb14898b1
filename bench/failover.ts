/** A host's power is cut: how long until it is proven dead, and until its machine answers from another host (for now by booting). */
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import { ask, waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { EventView } from '../src/model/api/views.ts'
import type { Bench } from './bench.ts'
import type { Figure } from './figure.ts'

const machine = 'bench'
const conditions = 'three hosts on one machine, tiny template, 128 MiB, default times, boot recovery'

export const failover: Bench = {
  name: 'failover',
  cases: ['lease-boot', 'power-boot'],
  defaultRuns: 5,
  async run({ cases, runs, note }) {
    const figures: Figure[] = []
    for (const one of cases) {
      await using laboratory = await openLaboratory('bench', one === 'power-boot' ? ['--power-fence'] : [])
      await laboratory.deploy(machine, { ha: true })
      const samples: { provedMs: number; answeredMs: number }[] = []
      for (let run = 1; run <= runs; run += 1) {
        samples.push(await loseHost(laboratory))
        note(
          `${one} ${run}/${runs}: proved ${Math.round(samples.at(-1)?.provedMs ?? 0)} ms, answered ${Math.round(samples.at(-1)?.answeredMs ?? 0)} ms`,
        )
      }
      figures.push({
        bench: 'failover',
        case: one,
        figure: 'proved',
        unit: 'ms',
        samples: samples.map((sample) => sample.provedMs),
        conditions,
      })
      figures.push({
        bench: 'failover',
        case: one,
        figure: 'answered',
        unit: 'ms',
        samples: samples.map((sample) => sample.answeredMs),
        conditions,
      })
    }
    return figures
  },
}

/** Cuts the power of the machine's host, measures, and brings the host back for the next run. */
async function loseHost(
  laboratory: OpenLaboratory,
): Promise<{ readonly provedMs: number; readonly answeredMs: number }> {
  const { api } = laboratory
  const vm = await api.call('getVm', { params: { vm: machine } })
  const before = await ask({ address: vm.address, name: machine })
  const host = vm.hostName
  if (host === null || before === undefined) throw new Error(`${machine} does not answer before the run`)
  const ending = new AbortController()
  const events: EventView[] = []
  const collecting = collect(api.events('watchEvents', {}, { signal: ending.signal }), events)
  await delay(200)
  const { events: earlier } = await api.call('listEvents', { query: { limit: 1 } })
  const since = earlier.at(-1)?.revision ?? 0
  await laboratory.lab(['power-off', host])
  // The board's own journal says when the power was gone; the command's return is a few milliseconds later.
  const killedAtMs = performance.now()
  const killedAt = Date.now()
  const { atMs } = await waitForAnswer(
    { address: vm.address, name: machine },
    { deadlineMs: 120_000, isRight: (answer) => answer.bootId !== before.bootId },
  )
  ending.abort()
  await collecting
  const proved = events.find(
    (event) => event.kind === 'host.fenced' && event.subject === host && event.revision > since,
  )
  if (proved === undefined) throw new Error('the event stream told of no proof')
  await laboratory.lab(['power-on', host])
  await laboratory.untilHostIs(host, 'online')
  await delay(1500)
  return { provedMs: Date.parse(proved.at) - killedAt, answeredMs: atMs - killedAtMs }
}

async function collect(stream: AsyncIterable<{ readonly data: EventView }>, into: EventView[]): Promise<void> {
  for await (const { data } of stream) into.push(data)
}
