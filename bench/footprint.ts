/** What the controller and the agents take while ten machines idle on three hosts. */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { openLaboratory } from '../e2e/open-laboratory.ts'
import type { Bench } from './bench.ts'
import type { Figure } from './figure.ts'

const machines = 10
const windowMs = 20_000
/** Of Linux's clock ticks in /proc/PID/stat: USER_HZ is 100 on every platform that we run on. */
const ticksPerSecond = 100
const conditions = `three hosts on one machine, ${machines} idle tiny machines; CPU over windows of ${windowMs / 1000} s; watchdog process not included in agentRss`

export const footprint: Bench = {
  name: 'footprint',
  cases: ['idle'],
  defaultRuns: 5,
  async run({ runs, note }) {
    await using laboratory = await openLaboratory('bench', [])
    for (let index = 1; index <= machines; index += 1) {
      await laboratory.deploy(`idle-${index}`)
      note(`${index} of ${machines} machines answer`)
    }
    await delay(20_000)
    const status = await laboratory.status()
    const controller = status.pids.controller
    const agents = status.hosts.flatMap((host) => (host.pids.agent === null ? [] : [host.pids.agent]))
    const watchdogs = status.hosts.flatMap((host) => (host.pids.watchdog === null ? [] : [host.pids.watchdog]))
    if (controller === null || agents.length === 0) throw new Error('the laboratory does not tell its processes')
    const samples = {
      controllerRss: [] as number[],
      agentRss: [] as number[],
      watchdogRss: [] as number[],
      controllerCpu: [] as number[],
      agentCpu: [] as number[],
    }
    for (let run = 1; run <= runs; run += 1) {
      const before = await ticksOf([controller, ...agents])
      await delay(windowMs)
      const after = await ticksOf([controller, ...agents])
      const percent = (pid: number) =>
        (((after.get(pid) ?? 0) - (before.get(pid) ?? 0)) / ticksPerSecond / (windowMs / 1000)) * 100
      samples.controllerRss.push(await rssMiB(controller))
      for (const pid of agents) samples.agentRss.push(await rssMiB(pid))
      for (const pid of watchdogs) samples.watchdogRss.push(await rssMiB(pid))
      samples.controllerCpu.push(percent(controller))
      for (const pid of agents) samples.agentCpu.push(percent(pid))
      note(`window ${run} of ${runs}`)
    }
    const base = { bench: 'footprint', case: 'idle', conditions } as const
    const figures: Figure[] = [
      { ...base, figure: 'controllerRss', unit: 'MiB', samples: samples.controllerRss },
      { ...base, figure: 'agentRss', unit: 'MiB', samples: samples.agentRss },
      { ...base, figure: 'watchdogRss', unit: 'MiB', samples: samples.watchdogRss },
      { ...base, figure: 'idleCpu (controller)', unit: 'percent', samples: samples.controllerCpu },
      { ...base, figure: 'idleCpu (agent)', unit: 'percent', samples: samples.agentCpu },
    ]
    return figures
  },
}

async function rssMiB(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024
}

/** User and system time of each process. */
async function ticksOf(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const entries = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8')
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return [pid, Number(fields[11]) + Number(fields[12])] as const
    }),
  )
  return new Map(entries)
}
