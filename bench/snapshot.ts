/** A snapshot of a machine that works: how long its vCPUs stand still, the longest silence that an outside client sees, and until it is whole. */
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import type { SnapshotKind } from '../src/model/snapshots/snapshot.ts'
import { benchOfCases } from './bench.ts'
import type { Figure } from './figure.ts'
import { type FilledCase, filledMachine, openFilledMachine } from './filled-machine.ts'
import { longestGap } from './peers/longest-gap.ts'
import type { OutsideClient } from './peers/outside-client.ts'

const cases: Readonly<Record<string, FilledCase>> = {
  '256': { memoryMiB: 256, filledMiB: 100, kind: 'memory' },
  '2048': { memoryMiB: 2048, filledMiB: 1536, kind: 'memory' },
  disk: { memoryMiB: 256, filledMiB: 100, kind: 'disk' },
}

export const snapshot = benchOfCases({ name: 'snapshot', cases, defaultRuns: 15 }, measure)

async function measure(
  name: string,
  shape: FilledCase,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '1'])
  const { memoryMiB, filledMiB, kind } = shape
  using client = await openFilledMachine(laboratory, shape)
  const [pauses, gaps, totals]: [number[], number[], number[]] = [[], [], []]
  for (let run = 1; run <= runs; run += 1) {
    const { pauseMs, gapMs, totalMs } = await takeOne(laboratory, client, { name: `s${run}`, kind })
    pauses.push(pauseMs)
    gaps.push(gapMs)
    totals.push(totalMs)
    note(
      `snapshot ${name} ${run}/${runs}: pause ${pauseMs.toFixed(1)} ms, client gap ${gapMs.toFixed(1)} ms, whole in ${totalMs.toFixed(0)} ms`,
    )
  }
  const conditions = `tiny template, ${filledMiB} of ${memoryMiB} MiB filled, client every 5 ms; each let go before the next`
  const common = { bench: 'snapshot', case: name, unit: 'ms', conditions } as const
  return [
    { ...common, figure: 'pause', samples: pauses },
    { ...common, figure: 'clientGap', samples: gaps },
    { ...common, figure: 'whole', samples: totals },
  ]
}

async function takeOne(
  { api, untilTaskEnds }: OpenLaboratory,
  client: OutsideClient,
  { name, kind }: { readonly name: string; readonly kind: SnapshotKind },
): Promise<{ readonly pauseMs: number; readonly gapMs: number; readonly totalMs: number }> {
  const fromMs = performance.now()
  const body = { name, kind, freeze: 'never' } as const
  const { task } = await api.call('createSnapshot', { params: { vm: filledMachine }, body })
  await untilTaskEnds(task.id)
  const totalMs = performance.now() - fromMs
  const gapMs = longestGap(client.answers.filter(({ answeredAtMs }) => answeredAtMs >= fromMs))
  const { pauseMs } = await api.call('getSnapshot', { params: { vm: filledMachine, snapshot: name } })
  const deletion = await api.call('deleteSnapshot', { params: { vm: filledMachine, snapshot: name } })
  await untilTaskEnds(deletion.task.id)
  return { pauseMs, gapMs, totalMs }
}
