/** What many episodes come to. Pure. */
import type { EpisodeResult } from '../episode/run-episode.ts'

/** What a worker tells of each of its episodes. */
export type EpisodeTally = Pick<EpisodeResult, 'seed' | 'faults' | 'recoveriesMs' | 'restarts' | 'fenced' | 'steps'> & {
  readonly hosts: number
  readonly virtualMs: number
  readonly simulatedMs: number
  readonly violated: readonly string[]
}

export type Tally = {
  episodes: number
  violations: number
  hosts: number
  faults: number
  virtualMs: number
  simulatedMs: number
  steps: number
  restarts: number
  fenced: number
  readonly byKind: Map<string, number>
  /** How often a machine was away for so long, in steps of `recoveryStepMs`: a run of hours has millions. */
  readonly recoveries: Map<number, number>
}

export function emptyTally(): Tally {
  return {
    episodes: 0,
    violations: 0,
    hosts: 0,
    faults: 0,
    virtualMs: 0,
    simulatedMs: 0,
    steps: 0,
    restarts: 0,
    fenced: 0,
    byKind: new Map(),
    recoveries: new Map(),
  }
}

const recoveryStepMs = 10

export function addEpisode(tally: Tally, episode: EpisodeTally): void {
  tally.episodes += 1
  tally.violations += episode.violated.length > 0 ? 1 : 0
  tally.hosts += episode.hosts
  tally.faults += episode.faults.length
  tally.virtualMs += episode.virtualMs
  tally.simulatedMs += episode.simulatedMs
  tally.steps += episode.steps
  tally.restarts += episode.restarts
  tally.fenced += episode.fenced
  for (const kind of episode.faults) tally.byKind.set(kind, (tally.byKind.get(kind) ?? 0) + 1)
  for (const recoveryMs of episode.recoveriesMs) {
    const step = Math.ceil(recoveryMs / recoveryStepMs) * recoveryStepMs
    tally.recoveries.set(step, (tally.recoveries.get(step) ?? 0) + 1)
  }
}

/** One of which nothing is known but that it did not end. */
export function addLost(tally: Tally): void {
  tally.episodes += 1
  tally.violations += 1
}

/** How far a run has come, in a line. */
export function describeProgress(tally: Tally, tookMs: number): string {
  return `… ${rateOf(tally, tookMs)}, ${tally.violations} with a violation`
}

function rateOf({ episodes }: Tally, tookMs: number): string {
  return `${episodes} episodes in ${seconds(tookMs)} (${((episodes / tookMs) * 1000).toFixed(1)} a second)`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

function quantilesOf(counts: ReadonlyMap<number, number>): (share: number) => number {
  const sorted = [...counts].toSorted(([left], [right]) => left - right)
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  return (share) => {
    let left = Math.min(total - 1, Math.floor(share * total))
    for (const [value, count] of sorted) {
      if (left < count) return value
      left -= count
    }
    return 0
  }
}

/** How often something of a host's own fails: one such fault a month and host, which is many. */
const faultsPerHostYear = 12

export function describeTally(tally: Tally, tookMs: number): readonly string[] {
  const quantile = quantilesOf(tally.recoveries)
  const clusterYears = tally.hosts === 0 ? 0 : tally.faults / ((tally.hosts / tally.episodes) * faultsPerHostYear)
  const kinds = [...tally.byKind].toSorted(([, left], [, right]) => right - left)
  return [
    `${rateOf(tally, tookMs)}, ${tally.violations} with a violation`,
    `${(tally.virtualMs / 3_600_000).toFixed(1)} virtual hours, of which ${(tally.simulatedMs / 3_600_000).toFixed(1)} were simulated event by event (${tally.steps} events)`,
    `${tally.faults} faults: ${kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
    `${tally.fenced} hosts fenced, ${tally.restarts} machines restarted or moved by force`,
    `away: half within ${seconds(quantile(0.5))}, nine of ten within ${seconds(quantile(0.9))}, 99 of 100 within ${seconds(quantile(0.99))}, at most ${seconds(quantile(1))}`,
    `stands for ${clusterYears.toFixed(0)} cluster-years, at one fault a month and host`,
  ]
}
