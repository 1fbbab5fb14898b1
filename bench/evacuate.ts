/**
 * Twelve small machines leave a host for its maintenance, a few at a time, under a client on each: the whole evacuation (total), and the
 * longest that any client waited (worstGap). Then they go back one by one under the same clients: what that takes in all is what the evacuation
 * is held against.
 */
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import { keepConnection } from '../src/cli/demo/kept-connection.ts'
import type { VmView } from '../src/model/api/views.ts'
import { benchOfCases } from './bench.ts'
import { type Figure, figuresWithPeers } from './figure.ts'

const machines = 12
const memoryMiB = 128
const host = 'h1'
/** So many clients at the pace of one would take the processors from the machines. */
const echoEveryMs = 50

/** How many move at the same time. */
const cases: Readonly<Record<string, number>> = { 'parallel-2': 2, 'parallel-4': 4 }

export const evacuate = benchOfCases({ name: 'evacuate', cases, defaultRuns: 5 }, measure)

async function measure(
  name: string,
  parallel: number,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '3'])
  const vms: VmView[] = []
  for (let number = 1; number <= machines; number += 1)
    vms.push(await laboratory.deploy(`small-${number}`, { ha: true, memoryMiB, host }))
  const totals: number[] = []
  const gaps: number[] = []
  const singles: number[] = []
  for (let run = 1; run <= runs; run += 1) {
    const { totalMs, worstGapMs } = await leave(laboratory, vms, parallel)
    const { totalMs: oneByOneMs } = await goBack(laboratory, vms)
    note(
      `${name} ${run}/${runs}: ${Math.round(totalMs)} ms, longest wait ${Math.round(worstGapMs)} ms, one by one ${Math.round(oneByOneMs)} ms`,
    )
    totals.push(totalMs)
    gaps.push(worstGapMs)
    singles.push(oneByOneMs)
  }
  const conditions = `${machines} machines of ${memoryMiB} MiB, three hosts on one machine, an echo every ${echoEveryMs} ms over one connection to each`
  const base = { bench: 'evacuate', case: name, unit: 'ms', conditions } as const
  return [
    ...figuresWithPeers({ ...base, figure: 'total', samples: totals }, new Map([['one by one', singles]])),
    { ...base, figure: 'worstGap', samples: gaps },
  ]
}

async function leave({ api, untilTaskEnds }: OpenLaboratory, vms: readonly VmView[], parallel: number) {
  const figures = await underClients(vms, async () => {
    const { task } = await api.call('beginMaintenance', { params: { host }, body: { parallel } })
    await untilTaskEnds(task.id)
  })
  await api.call('endMaintenance', { params: { host } })
  return figures
}

function goBack({ api, untilTaskEnds }: OpenLaboratory, vms: readonly VmView[]) {
  return underClients(vms, async () => {
    for (const { name } of vms) {
      const { task } = await api.call('migrateVm', { params: { vm: name }, body: { host } })
      await untilTaskEnds(task.id)
    }
  })
}

/** How long it took, and the longest that any of the machines' clients waited meanwhile. */
async function underClients(vms: readonly VmView[], work: () => Promise<void>) {
  const connections = await Promise.all(vms.map(({ address }) => keepConnection(address, echoEveryMs)))
  const beganAtMs = performance.now()
  await work()
  const totalMs = performance.now() - beganAtMs
  const waits = await Promise.all(connections.map((connection) => connection.end()))
  return { totalMs, worstGapMs: Math.max(...waits.map(({ longestWaitMs }) => longestWaitMs)) }
}
