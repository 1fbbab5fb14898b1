/** A live checkpoint of a machine that works: how long its vCPUs stand still, and the longest silence that an outside client sees. */
import { setTimeout as delay } from 'node:timers/promises'
import { type OpenLaboratory, openLaboratory } from '../e2e/open-laboratory.ts'
import type { VmView } from '../src/model/api/views.ts'
import { benchOfCases } from './bench.ts'
import type { Figure } from './figure.ts'
import { longestGap } from './peers/longest-gap.ts'
import { createOutsideClient, type OutsideClient } from './peers/outside-client.ts'

const machine = 'bench'
type Case = { readonly memoryMiB: number; readonly filledMiB: number; readonly isResumed: boolean }

const cases: Readonly<Record<string, Case>> = {
  '256': { memoryMiB: 256, filledMiB: 100, isResumed: false },
  '2048': { memoryMiB: 2048, filledMiB: 1536, isResumed: false },
  '2048-resumed': { memoryMiB: 2048, filledMiB: 1536, isResumed: true },
}

export const checkpoint = benchOfCases({ name: 'checkpoint', cases, defaultRuns: 15 }, measure)

async function measure(
  name: string,
  one: Case,
  { runs, note }: { readonly runs: number; note(line: string): void },
): Promise<readonly Figure[]> {
  await using laboratory = await openLaboratory('bench', ['--hosts', '2'])
  const vm = await prepare(laboratory, one)
  using client = createOutsideClient({
    address: vm.address,
    port: 80,
    path: '/',
    everyMs: 5,
    isCorrect: ({ status }) => status === 200,
  })
  const pauses: number[] = []
  const gaps: number[] = []
  for (let run = 1; run <= runs; run += 1) {
    if (one.isResumed) await resumeAnew(laboratory)
    const { pauseMs, gapMs } = await takeOne(laboratory, client)
    pauses.push(pauseMs)
    gaps.push(gapMs)
    note(`checkpoint ${name} ${run}/${runs}: pause ${pauseMs.toFixed(1)} ms, client gap ${gapMs.toFixed(1)} ms`)
  }
  const conditions = `tiny template, ${one.filledMiB} of ${one.memoryMiB} MiB filled, client every 5 ms`
  const common = { bench: 'checkpoint', case: name, unit: 'ms', conditions } as const
  return [
    { ...common, figure: 'pause', samples: pauses },
    { ...common, figure: 'clientGap', samples: gaps },
  ]
}

/** A machine whose memory is filled. Checkpoints are taken on request only. */
async function prepare(
  laboratory: OpenLaboratory,
  { memoryMiB, filledMiB }: { readonly memoryMiB: number; readonly filledMiB: number },
): Promise<VmView> {
  await laboratory.deploy(machine, { recovery: { mode: 'checkpoint', everySeconds: 86_400, keep: 1 }, memoryMiB })
  const vm = await laboratory.untilReady(machine)
  await fetch(`http://${vm.address}/load?mib=${filledMiB}&rate=1`, { method: 'POST' })
  await delay(filledMiB * 5)
  return vm
}

async function takeOne(
  laboratory: OpenLaboratory,
  client: OutsideClient,
): Promise<{ readonly pauseMs: number; readonly gapMs: number }> {
  const before = (await laboratory.api.call('getVm', { params: { vm: machine } })).status.recovery?.image?.imageId ?? ''
  const fromMs = performance.now()
  const { task } = await laboratory.api.call('warmVm', { params: { vm: machine } })
  await laboratory.untilTaskEnds(task.id)
  const { status } = await laboratory.untilImageIsNot(machine, before)
  const gapMs = longestGap(client.answers.filter(({ answeredAtMs }) => answeredAtMs >= fromMs))
  await laboratory.untilReady(machine)
  return { pauseMs: status.recovery?.image?.pauseMs ?? Number.NaN, gapMs }
}

/** Kills it, so that the next checkpoint is one of a resumed machine. */
async function resumeAnew(laboratory: OpenLaboratory): Promise<void> {
  const { status } = await laboratory.untilReady(machine)
  if (status.pid === null) throw new Error(`${machine} has no process`)
  process.kill(status.pid, 'SIGKILL')
  await laboratory.untilPid(machine, status.pid)
  await laboratory.untilReady(machine)
}
