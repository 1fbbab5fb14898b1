/**
 * What the hosts and machines of a simulated cloud take: made up, but the same for the same machine and time, so that a past can be made
 * as fast as it is asked for. Sibling of the agent's meter; what stands still takes nothing.
 */
import type { FigureDesk } from '../../controller/figures/figure-desk.ts'
import {
  addFigures,
  type FigureReport,
  type Figures,
  figureSpans,
  figuresEveryMs,
  noFigures,
} from '../../model/figures.ts'
import type { HostId } from '../../model/ids.ts'
import type { World } from '../world/world.ts'

/** Reports of each host that answers, as they are at this time. */
export function measureWorld(world: World, nowMs: number): readonly (readonly [HostId, FigureReport])[] {
  const { hosts, vms } = world.state()
  return [...hosts.values()]
    .filter(({ status }) => status.state === 'online')
    .map(({ spec }) => {
      const machines = [...vms.values()]
        .filter(({ placement, status }) => placement?.hostId === spec.id && status?.state === 'running')
        .map((vm) => ({ vmId: vm.spec.id, figures: figuresOf(vm.spec, nowMs) }))
      const all = machines.reduce((sum, { figures }) => addFigures(sum, figures), noFigures)
      const host = { ...all, cpuPercent: all.cpuPercent + 6, memoryMiB: all.memoryMiB + 380, pauseMs: 2 }
      return [spec.id, { host, machines }]
    })
}

/** Makes a past as if all were as it is now: coarse for six hours, fine for the last hour. `setNowMs`: what the desk takes for now. */
export async function makePast(
  world: World,
  desk: FigureDesk,
  time: { readonly nowMs: number; setNowMs(nowMs: number): void },
): Promise<void> {
  const fineFromMs = time.nowMs - figureSpans.hour.spanMs
  const stepMs = figureSpans.week.stepMs
  const beganAtMs = time.nowMs - 6 * 3_600_000
  for (let atMs = beganAtMs; atMs < time.nowMs; atMs += atMs < fineFromMs ? stepMs : figuresEveryMs) {
    time.setNowMs(atMs)
    for (const [hostId, report] of measureWorld(world, atMs)) desk.receive(hostId, report)
  }
  time.setNowMs(time.nowMs)
  await desk.written()
}

type Sized = { readonly number: number; readonly cpus: number; readonly memoryMiB: number }

/** A day, a rhythm of minutes and a little noise, each machine at its own pace. */
function figuresOf({ number, cpus, memoryMiB }: Sized, atMs: number): Figures {
  const wave = (periodMs: number) => (1 + Math.sin((2 * Math.PI * atMs) / periodMs + number)) / 2
  const noise = (salt: number) => {
    const mixed =
      Math.sin((Math.floor(atMs / figuresEveryMs) % 100_000) * 12.9898 + (number + salt) * 78.233) * 43_758.5453
    return mixed - Math.floor(mixed)
  }
  const load = 0.08 + 0.3 * wave(86_400_000) + 0.2 * wave(840_000 + number * 60_000) + 0.15 * noise(1)
  const isCaught = noise(2) > 0.985
  return {
    cpuPercent: 100 * cpus * load,
    memoryMiB: memoryMiB * (0.45 + 0.2 * wave(7_200_000) + 0.02 * noise(3)),
    diskReadKiBPerSecond: 240 * load * (0.6 + noise(4)),
    diskWriteKiBPerSecond: 900 * load * (0.6 + noise(5)),
    networkInKiBPerSecond: 700 * load * (0.5 + noise(6)),
    networkOutKiBPerSecond: 1_900 * load * (0.5 + noise(7)),
    pauseMs: isCaught ? 4 + 20 * noise(8) : 0,
  }
}
