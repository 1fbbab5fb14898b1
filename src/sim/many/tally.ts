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
  readonly recoveriesMs: number[]
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
    recoveriesMs: [],
  }
}

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
  tally.recoveriesMs.push(...episode.recoveriesMs)
}

/** How often something of a host's own fails: one such fault a month and host, which is many. */
const faultsPerHostYear = 12

export function describeTally(tally: Tally, tookMs: number): readonly string[] {
  const sorted = tally.recoveriesMs.toSorted((left, right) => left - right)
  const quantile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
  const clusterYears = tally.hosts === 0 ? 0 : tally.faults / ((tally.hosts / tally.episodes) * faultsPerHostYear)
  const kinds = [...tally.byKind].toSorted(([, left], [, right]) => right - left)
  return [
    `${tally.episodes} episodes in ${seconds(tookMs)} (${((tally.episodes / tookMs) * 1000).toFixed(1)} a second), ${tally.violations} with a violation`,
    `${(tally.virtualMs / 3_600_000).toFixed(1)} virtual hours, of which ${(tally.simulatedMs / 3_600_000).toFixed(1)} were simulated event by event (${tally.steps} events)`,
    `${tally.faults} faults: ${kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
    `${tally.fenced} hosts fenced, ${tally.restarts} machines restarted or moved by force`,
    `away: half within ${seconds(quantile(0.5))}, nine of ten within ${seconds(quantile(0.9))}, 99 of 100 within ${seconds(quantile(0.99))}, at most ${seconds(quantile(1))}`,
    `stands for ${clusterYears.toFixed(0)} cluster-years, at one fault a month and host`,
  ]
}
