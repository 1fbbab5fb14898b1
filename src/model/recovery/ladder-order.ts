/** Which of several rungs to try first, so that the time until the machine serves is the shortest to be expected. */
import type { RungEstimate } from './ladder-statistics.ts'
import { type Rung, rungSchema } from './recovery-policy.ts'

export type Candidate = {
  readonly rung: Rung
  readonly estimate: RungEstimate
  /** Attempts of this failure that were in vain. */
  readonly triesBefore: number
  readonly triesLeft: number
}

/** Attempts from now on, by rung. */
export type Tries = Readonly<Record<Rung, number>>

export type OrderRules = {
  /** Whether the rung may be next after these. At least one candidate with tries left must be allowed at any time. */
  isAllowed(rung: Rung, made: Tries): boolean
  /** The wait before the rung when these were made. */
  waitMs(rung: Rung, made: Tries): number
}

export type CheapestNext = {
  readonly candidate: Candidate
  /** Until the machine serves, or until everything was tried. */
  readonly expectedMs: number
}

export const noTries: Tries = {
  'restart-in-guest': 0,
  'resume-here': 0,
  'resume-elsewhere': 0,
  boot: 0,
  'rebuild-root': 0,
}

/** What failed once fails more easily again: each further try has half the chance of the one before. An assumption. */
const chanceOfRepeat = 0.5

/** The chance that the rung cures after so many tries of it in vain. */
export function chanceAfter(estimate: RungEstimate, tries: number): number {
  return estimate.probabilityOfCure * chanceOfRepeat ** tries
}

/**
 * The first step of the cheapest sequence of all tries that are left; undefined when none is. A sequence costs its first step (wait, and
 * time by chance of cure) and, with the chance that this doesn't cure, what follows. Exact, by dynamic programming over how often each
 * rung was tried: at most a few hundred states. Without waits and rules it is the order by time over chance (Mitten, 1960, "An analytic
 * solution to the least cost testing sequence problem"). Equal sequences: the rung that is lower on the ladder.
 */
export function findCheapestNext(candidates: readonly Candidate[], rules: OrderRules): CheapestNext | undefined {
  const known = new Map<string, CheapestNext | undefined>()
  const bestAfter = (made: Tries): CheapestNext | undefined => {
    const key = rungSchema.options.map((rung) => made[rung]).join()
    if (known.has(key)) return known.get(key)
    let best: CheapestNext | undefined
    for (const candidate of candidates) {
      const { rung } = candidate
      if (made[rung] >= candidate.triesLeft || !rules.isAllowed(rung, made)) continue
      const { costMs, chance } = tryOf(candidate, made[rung])
      const rest = bestAfter({ ...made, [rung]: made[rung] + 1 })?.expectedMs ?? 0
      const expectedMs = rules.waitMs(rung, made) + costMs + (1 - chance) * rest
      if (best === undefined || expectedMs < best.expectedMs) best = { candidate, expectedMs }
    }
    known.set(key, best)
    return best
  }
  return bestAfter(noTries)
}

function tryOf({ estimate, triesBefore }: Candidate, made: number): { costMs: number; chance: number } {
  const chance = chanceAfter(estimate, triesBefore + made)
  return { costMs: chance * estimate.curedMs + (1 - chance) * estimate.failedMs, chance }
}
