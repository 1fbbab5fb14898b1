/** A machine returns to a snapshot: from the order until an outside client that asks every 5 ms gets the first answer of the old time. */
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import { benchOfCases } from './bench.ts'
import type { Figure } from './figure.ts'
import { type FilledCase, filledMachine, openFilledMachine } from './filled-machine.ts'
import { longestGap } from './peers/longest-gap.ts'
import type { OutsideClient } from './peers/outside-client.ts'

const cases: Readonly<Record<string, FilledCase>> = {
  '512': { memoryMiB: 512, filledMiB: 300, kind: 'memory' },
  '2048': { memoryMiB: 2048, filledMiB: 1536, kind: 'memory' },
  disk: { memoryMiB: 256, filledMiB: 0, kind: 'disk' },
}
const quietMs = 1_000

export const revert = benchOfCases({ name: 'revert', cases, defaultRuns: 15 }, measure)

async function measure(
  name: string,
  shape: FilledCase,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '1'])
  const { memoryMiB, filledMiB, kind } = shape
  using client = await openFilledMachine(laboratory, shape)
  const { task } = await laboratory.api.call('createSnapshot', {
    params: { vm: filledMachine },
    body: { name: 'start', kind },
  })
  await laboratory.untilTaskEnds(task.id)
  const [outages, totals]: [number[], number[]] = [[], []]
  for (let run = 1; run <= runs; run += 1) {
    await delay(quietMs)
    const { outageMs, totalMs } = await returnOnce(laboratory, client)
    outages.push(outageMs)
    totals.push(totalMs)
    note(`revert ${name} ${run}/${runs}: away for ${outageMs.toFixed(0)} ms, ordered to ended ${totalMs.toFixed(0)} ms`)
  }
  const conditions = `tiny template, ${filledMiB} of ${memoryMiB} MiB filled, client every 5 ms; the process is prepared while the old one serves`
  const common = { bench: 'revert', case: name, unit: 'ms', conditions } as const
  return [
    { ...common, figure: 'away', samples: outages },
    { ...common, figure: 'task', samples: totals },
  ]
}

/** `outageMs`: the longest silence that the client saw. */
async function returnOnce(
  { api, untilTaskEnds }: OpenLaboratory,
  client: OutsideClient,
): Promise<{ readonly outageMs: number; readonly totalMs: number }> {
  const fromMs = performance.now()
  const { task } = await api.call('revertVm', { params: { vm: filledMachine }, body: { snapshot: 'start' } })
  await untilTaskEnds(task.id)
  const totalMs = performance.now() - fromMs
  // A boot answers some seconds after the task has ended.
  await client.untilCorrectAfter(performance.now(), { deadlineMs: 60_000 })
  return {
    outageMs: longestGap(client.answers.filter(({ answeredAtMs }) => answeredAtMs >= fromMs - quietMs / 2)),
    totalMs,
  }
}
