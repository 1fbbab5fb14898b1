/** What a person gets to read of an episode in which something was violated: how to repeat it, what is left of it, and what happened. */
import { formatLine } from '../world/world-log.ts'
import { describePlan, type EpisodePlan } from './episode-plan.ts'
import type { EpisodeResult } from './run-episode.ts'

const linesBefore = 60

export function tellViolations({ seed, violations }: EpisodeResult): readonly string[] {
  return [
    `seed ${seed} violates ${[...new Set(violations.map(({ checker }) => checker))].join(', ')}`,
    ...violations
      .slice(0, 5)
      .map(({ checker, atMs, message }) => `  ${(atMs / 1000).toFixed(3)} s  ${checker}: ${message}`),
    `  replay: npm run sim -- --seed ${seed}`,
  ]
}

/** The plan as it was shrunk, and the lines of the log before the first violation. */
export function tellShrunk(plan: EpisodePlan, result: EpisodeResult): readonly string[] {
  const atMs = result.violations[0]?.atMs ?? Infinity
  const before = result.log.filter((line) => line.atMs <= atMs)
  return [
    '  shrunk to:',
    ...describePlan(plan).map((line) => `    ${line}`),
    ...before.slice(-linesBefore).map((line) => `    ${formatLine(line)}`),
    ...result.violations.slice(0, 3).map(({ checker, message }) => `    → ${checker}: ${message}`),
  ]
}
