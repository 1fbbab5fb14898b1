/** A snapshot of a machine that works: how long its vCPUs stand still, the longest silence that an outside client sees, and until it is whole. */
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import type { SnapshotKind } from '../src/model/snapshots/snapshot.ts'
import { benchOfCases } from './bench.ts'
import type { Figure } from './figure.ts'
import { longestGap } from './peers/longest-gap.ts'
import { createOutsideClient, type OutsideClient } from './peers/outside-client.ts'

const machine = 'bench'
type Case = { readonly memoryMiB: number; readonly filledMiB: number; readonly kind: SnapshotKind }

const cases: Readonly<Record<string, Case>> = {
  '256': { memoryMiB: 256, filledMiB: 100, kind: 'memory' },
  '2048': { memoryMiB: 2048, filledMiB: 1536, kind: 'memory' },
  disk: { memoryMiB: 256, filledMiB: 100, kind: 'disk' },
}

export const snapshot = benchOfCases({ name: 'snapshot', cases, defaultRuns: 15 }, measure)

async function measure(
  name: string,
  { memoryMiB, filledMiB, kind }: Case,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '1'])
  const { address } = await laboratory.deploy(machine, { memoryMiB })
  await fetch(`http://${address}/load?mib=${filledMiB}&rate=1`, { method: 'POST' })
  await delay(filledMiB * 5)
  const isCorrect = ({ status }: { readonly status: number }) => status === 200
  using client = createOutsideClient({ address, port: 80, path: '/', everyMs: 5, isCorrect })
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
  const { task } = await api.call('createSnapshot', { params: { vm: machine }, body })
  await untilTaskEnds(task.id)
  const totalMs = performance.now() - fromMs
  const gapMs = longestGap(client.answers.filter(({ answeredAtMs }) => answeredAtMs >= fromMs))
  const { pauseMs } = await api.call('getSnapshot', { params: { vm: machine, snapshot: name } })
  const deletion = await api.call('deleteSnapshot', { params: { vm: machine, snapshot: name } })
  await untilTaskEnds(deletion.task.id)
  return { pauseMs, gapMs, totalMs }
}
