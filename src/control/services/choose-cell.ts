/**
 * Which cell to restart first. The cells that can cure lie within each other, so a failure is cured by all cells from some smallest one on,
 * and what is not known is which. An attempt costs its time, times the components that it takes away; with the chance that it was in vain
 * comes the cheapest of what is left. Exact, by dynamic programming over the largest cell that has failed; the tree's depth squared.
 * After Candea and Fox, "Recursive Restartability: Turning the Reboot Sledgehammer into a Scalpel" (HotOS 2001), and Candea et al.,
 * "Reducing Recovery Time in a Small Recursively Restartable System" (DSN 2002), whose oracles are the three here.
 */

import type { CellEstimate } from './restart-lessons.ts'
import { type Cell, pathTo } from './restart-tree.ts'

/** A cell that could be tried; several suspects without a cell of their own make one of their smallest cells. */
export type Level = { readonly name: string; readonly components: readonly string[] }

/** `none`: always the smallest that has not failed. `perfect`: somebody knows which components have to be restarted together. */
export type Oracle =
  | { readonly kind: 'none' }
  | { readonly kind: 'learned' }
  | { readonly kind: 'perfect'; readonly cure: readonly string[] }

export type Choice = { readonly level: number; readonly chance: number; readonly expectedMs: number }

/** A person is slower than any restart. */
const personMs = 1_800_000

/** All that can be tried for these suspects, the smallest first; each holds the one before it. */
export function levelsFor(tree: Cell, suspects: readonly string[]): readonly Level[] {
  const sorted = suspects.toSorted()
  const [first = '', ...others] = sorted
  const path = pathTo(tree, first)
  if (others.length === 0) return distinct(path)
  const joined = { name: sorted.join('+'), components: sorted }
  return distinct([joined, ...path.filter((cell) => others.every((other) => cell.components.includes(other)))])
}

/** `failedLevel`: the largest that was in vain, -1 for none. Undefined when none is left. */
export function chooseCell(
  levels: readonly Level[],
  {
    estimates,
    failedLevel,
    oracle,
  }: {
    readonly estimates: readonly CellEstimate[]
    readonly failedLevel: number
    readonly oracle: Oracle
  },
): Choice | undefined {
  const first = failedLevel + 1
  if (first >= levels.length) return undefined
  const chanceOf = (from: number, to: number) =>
    1 - estimates.slice(from + 1, to + 1).reduce((inVain, { chance }) => inVain * (1 - chance), 1)
  const answer = (level: number) => ({
    level,
    chance: chanceOf(failedLevel, level),
    expectedMs: estimates[level]?.restartMs ?? 0,
  })
  if (oracle.kind === 'none') return answer(first)
  if (oracle.kind === 'perfect') {
    const cures = levels.findIndex(
      ({ components }, level) => level >= first && oracle.cure.every((name) => components.includes(name)),
    )
    return answer(cures < 0 ? first : cures)
  }
  const costs: number[] = []
  const bestAfter: number[] = []
  for (let failed = levels.length - 1; failed >= failedLevel; failed -= 1) {
    costs[failed + 1] = failed === levels.length - 1 ? personMs * (levels.at(-1)?.components.length ?? 1) : Infinity
    for (let level = failed + 1; level < levels.length; level += 1) {
      const attempt = (estimates[level]?.restartMs ?? 0) * (levels[level]?.components.length ?? 1)
      const cost = attempt + (1 - chanceOf(failed, level)) * (costs[level + 1] ?? 0)
      // Of equal ones the smaller: it leaves more in peace.
      if (cost >= (costs[failed + 1] ?? Infinity)) continue
      costs[failed + 1] = cost
      bestAfter[failed + 1] = level
    }
  }
  return answer(bestAfter[first] ?? first)
}

/** A cell with the same components as the one within it is that one again. */
function distinct(levels: readonly Level[]): readonly Level[] {
  return levels
    .filter(({ components }, index) => components.length !== levels[index - 1]?.components.length)
    .map(({ name, components }) => ({ name, components }))
}
