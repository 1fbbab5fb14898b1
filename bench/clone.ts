/** Clones from memory: how long until all of many answer under their own address, and what many big ones take of the host's memory. */
import { readFile } from 'node:fs/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import { waitForAnswer } from '../src/cli/demo/http-probe.ts'
import type { VmView } from '../src/model/api/views.ts'
import type { Bench } from './bench.ts'
import type { Figure } from './figure.ts'

const answering = { count: 32, memoryMiB: 128 }
const big = { count: 16, memoryMiB: 1024, touchedMiB: 32 }
const withinMs = 120_000

export const clone: Bench = {
  name: 'clone',
  cases: ['32', '16x1024'],
  defaultRuns: 5,
  async run({ cases, runs, note }) {
    const figures: Figure[] = []
    if (cases.includes('32')) figures.push(await measureAnswers(runs, note))
    if (cases.includes('16x1024')) figures.push(await measureMemory(note))
    return figures
  },
}

async function measureAnswers(runs: number, note: (line: string) => void): Promise<Figure> {
  await using laboratory = await openLaboratory('bench', [])
  await warm(laboratory, answering.memoryMiB)
  const samples: number[] = []
  for (let run = 1; run <= runs; run += 1) {
    const { tookMs, vms } = await makeClones(laboratory, answering.count)
    samples.push(tookMs)
    note(`clone 32 ${run}/${runs}: ${Math.round(tookMs)} ms`)
    await deleteAll(laboratory, vms)
  }
  return {
    bench: 'clone',
    case: '32',
    figure: 'allAnswered',
    unit: 'ms',
    samples,
    conditions: `${answering.count} clones of ${answering.memoryMiB} MiB on three hosts on one machine, from the request to the last first answer`,
  }
}

async function measureMemory(note: (line: string) => void): Promise<Figure> {
  // Hosts count what machines may use; what clones share is there only once.
  await using laboratory = await openLaboratory('bench', ['--memory-per-host', String(big.count * big.memoryMiB)])
  await warm(laboratory, big.memoryMiB)
  const { vms } = await makeClones(laboratory, big.count)
  await Promise.all(
    vms.map(({ address }) => fetch(`http://${address}/load?mib=${big.touchedMiB}&rate=1`, { method: 'POST' })),
  )
  const pids = await Promise.all(vms.map(async ({ name }) => (await view(laboratory, name)).status.pid ?? 0))
  const pss = await Promise.all(pids.map(pssMiB))
  const total = pss.reduce((sum, one) => sum + one, 0)
  note(`clone 16x1024: ${Math.round(total)} MiB`)
  const conditions = `${big.count} clones of ${big.memoryMiB} MiB that each touched ${big.touchedMiB} MiB`
  return { bench: 'clone', case: '16x1024', figure: 'pssTotal', unit: 'MiB', samples: [total], conditions }
}

async function warm({ api, untilTaskEnds }: OpenLaboratory, memoryMiB: number): Promise<void> {
  const { task } = await api.call('warmTemplate', { params: { template: 'tiny' }, body: { memoryMiB } })
  await untilTaskEnds(task.id)
}

/** From the request until each of them has answered as itself. */
async function makeClones(
  laboratory: OpenLaboratory,
  count: number,
): Promise<{ readonly tookMs: number; readonly vms: readonly VmView[] }> {
  const { api } = laboratory
  const startedAtMs = performance.now()
  const { names } = await api.call('cloneTemplate', { params: { template: 'tiny' }, body: { count, name: 'c' } })
  const vms = await Promise.all(names.map((name) => untilEntered(laboratory, name)))
  const answers = await Promise.all(
    vms.map(({ address, name }) => waitForAnswer({ address, name }, { deadlineMs: withinMs })),
  )
  return { tookMs: Math.max(...answers.map(({ atMs }) => atMs)) - startedAtMs, vms }
}

async function untilEntered(laboratory: OpenLaboratory, name: string): Promise<VmView> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await view(laboratory, name)
    } catch (error) {
      if (attempt > 1000) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function view({ api }: OpenLaboratory, name: string): Promise<VmView> {
  return api.call('getVm', { params: { vm: name } })
}

async function deleteAll({ api, untilTaskEnds }: OpenLaboratory, vms: readonly VmView[]): Promise<void> {
  for (const { name } of vms) {
    const { task } = await api.call('deleteVm', { params: { vm: name }, query: { force: 'true' } })
    await untilTaskEnds(task.id)
  }
}

async function pssMiB(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) / 1024
}
