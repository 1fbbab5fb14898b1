/**
 * What restarts teach: how likely it is, for each symptom, that a failure is cured by a cell and by none within it, and how long its restart
 * takes. An attempt at a cell says more than about that cell: one in vain says that none within it would have cured either; a cure after a
 * smaller one in vain, that it was somewhere between the two, and is laid to those in between by what was known before (one step of
 * expectation maximization). So a large cell that is restarted at once does not take the credit of a small one that nobody tried.
 */
import type { RestartLessons } from '../../model/service/service.ts'

export type CellEstimate = {
  /** That the failure is cured by this cell, if by no smaller one. */
  readonly chance: number
  readonly restartMs: number
}

type Lesson = RestartLessons[string][string]
const nothing: Lesson = { attempts: 0, cures: 0, restarts: 0, tookMs: 0 }

/** About the last twenty count. */
const fading = 0.95
/** The prior counts as much as so many attempts. */
const priorAttempts = 2
/** Assumptions. The smallest cell is likely enough to be tried while nothing is known: whether it would do is learned in no other way. */
const priorChances = [0.6, 0.7] as const
const longestMs = 3_600_000

/** `priorMs`: how long the restart takes while nothing is measured. */
export function estimateCell(
  lessons: RestartLessons,
  {
    symptom,
    cell,
    level,
    priorMs,
  }: { readonly symptom: string; readonly cell: string; readonly level: number; readonly priorMs: number },
): CellEstimate {
  const { attempts, cures, restarts, tookMs } = lessons[symptom]?.[cell] ?? nothing
  const prior = priorChances[Math.min(level, priorChances.length - 1)] ?? 0.5
  return {
    chance: (priorAttempts * prior + cures) / (priorAttempts + attempts),
    restartMs: (priorAttempts * priorMs + tookMs) / (priorAttempts + restarts),
  }
}

export type RestartOutcome = {
  readonly symptom: string
  /** The cells that could be tried, the smallest first; the restarted one; the largest that failed before it, or -1. */
  readonly levels: readonly string[]
  readonly level: number
  readonly failedLevel: number
  readonly isCured: boolean
  readonly tookMs: number
}

/** The lessons with one more outcome in them. */
export function noteRestart(lessons: RestartLessons, outcome: RestartOutcome): RestartLessons {
  const { symptom, levels, level, failedLevel, isCured } = outcome
  const concerned = levels.slice(failedLevel + 1, level + 1)
  const chances = concerned.map((cell, index) => {
    const place = failedLevel + 1 + index
    return estimateCell(lessons, { symptom, cell, level: place, priorMs: 0 }).chance
  })
  // Of each: that it had to be reached at all, and that it was the one that cured.
  let reached = 1
  const shares = chances.map((chance) => {
    const share = { reached, cured: reached * chance }
    reached *= 1 - chance
    return share
  })
  const anyCured = shares.reduce((sum, { cured }) => sum + cured, 0)
  const before = lessons[symptom] ?? {}
  const next = { ...before }
  for (const [index, cell] of concerned.entries()) {
    const { attempts, cures, restarts, tookMs } = before[cell] ?? nothing
    const share = shares[index] ?? { reached: 1, cured: 0 }
    const cure = isCured ? share.cured / anyCured : 0
    // That it was not cured by a smaller one, given how it ended.
    const curedBefore = shares.slice(0, index).reduce((sum, { cured }) => sum + cured, 0)
    const attempt = isCured ? 1 - curedBefore / anyCured : 1
    const isTimed = cell === levels[level] && isCured
    next[cell] = {
      attempts: rounded(attempts * fading + attempt),
      cures: rounded(cures * fading + cure),
      restarts: rounded(isTimed ? restarts * fading + 1 : restarts),
      tookMs: rounded(isTimed ? tookMs * fading + Math.min(Math.max(0, outcome.tookMs), longestMs) : tookMs),
    }
  }
  return { ...lessons, [symptom]: next }
}

function rounded(sum: number): number {
  return Math.round(sum * 1_000) / 1_000
}
