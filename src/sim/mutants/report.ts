/** What a hunt came to, in lines for people. Pure. */
import type { Hunt } from './hunt-mutant.ts'
import type { Mutant } from './mutant.ts'

export type HuntedMutant = { readonly mutant: Mutant; readonly hunt: Hunt }

export function describeHunt({ mutant, hunt }: HuntedMutant): string {
  const name = mutant.id.padEnd(34)
  if (hunt.kind === 'caught')
    return `${name} caught after ${String(hunt.episodes).padStart(4)}  ${hunt.by.join(', ')}  (episode ${hunt.number}: ${hunt.message.slice(0, 140)})`
  const also = hunt.alsoSeen.length === 0 ? '' : `; seen by others only: ${hunt.alsoSeen.join(', ')}`
  return `${name} SURVIVES     ${String(hunt.episodes).padStart(4)}  ${mutant.survives ?? 'nobody knows why'}${also}`
}

/** How many were caught, by whom, after how long, and who is left. */
export function describeHunts(hunted: readonly HuntedMutant[]): readonly string[] {
  const caught = hunted.flatMap(({ hunt }) => (hunt.kind === 'caught' ? [hunt] : []))
  const episodes = caught.map((hunt) => hunt.episodes).sort((left, right) => left - right)
  const byChecker = new Map<string, number>()
  for (const { by } of caught) for (const checker of by) byChecker.set(checker, (byChecker.get(checker) ?? 0) + 1)
  const checkers = [...byChecker].toSorted(([, left], [, right]) => right - left)
  const survivors = hunted.filter(({ hunt }) => hunt.kind === 'survived')
  const share = hunted.length === 0 ? 0 : (100 * caught.length) / hunted.length
  const median = episodes[Math.floor(episodes.length / 2)] ?? 0
  return [
    '',
    `${caught.length} of ${hunted.length} caught (${share.toFixed(1)} %); half of them within ${median} episodes, all within ${episodes.at(-1) ?? 0}`,
    `by ${checkers.map(([checker, count]) => `${checker} ${count}`).join(', ')}`,
    ...(survivors.length === 0 ? [] : ['left:', ...survivors.map((one) => `  ${describeHunt(one)}`)]),
  ]
}
