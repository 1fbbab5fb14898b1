/** A bug that was put in on purpose: what the simulator has to notice. */
import type { HuntKind } from './draw-hunt.ts'

export type Patch = {
  /** From the root of the project. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly put: string
}

export type Mutant = {
  readonly id: string
  /** What is wrong with it, in a sentence. */
  readonly says: string
  /** More than one where one alone is made good by the other. */
  readonly patches: readonly Patch[]
  /** A checker that objects counts only when it is one of these: what the bug is expected to lead to. */
  readonly caughtBy: readonly CheckerName[]
  /** The episodes in which alone it would show. */
  readonly shownBy?: HuntKind
  /** Why nobody notices it, when that is known. */
  readonly survives?: string
}

/** The simulator's checkers, the doctor's invariants, and what `hunt-mutant.ts` sees for itself. */
export type CheckerName =
  | 'one-writer-per-volume'
  | 'fenced-before-restarted'
  | 'no-acknowledged-write-lost'
  | 'epochs-only-grow'
  | 'proofs-are-true'
  | 'what-should-run-runs'
  | 'placement-matches-reality'
  | 'tasks-end'
  | 'plan-converges'
  | 'nothing-unordered-runs'
  | 'capacity-never-exceeded'
  | 'no-orphan-volumes'
  | 'no-missing-volumes'
  | 'volumes-have-a-vm'
  | 'no-orphan-taps'
  | 'claims-are-unique'
  | 'ledger-adds-up'
  | 'pills-are-cleared'
  /** A machine was restarted, or a host fenced, where nothing had failed. */
  | 'no-false-failover'
  /** One host was lost, and what ran there was not elsewhere within seconds. */
  | 'recovers-in-time'

/** The source with the bug in it. Throws when a patch fits nowhere, or in more than one place. */
export function mutate(source: string, patches: readonly Patch[]): string {
  return patches.reduce((text, { find, put, file }) => {
    const times = text.split(find).length - 1
    if (times !== 1) throw new Error(`${file} has this ${times} times, not once: ${find}`)
    return text.replace(find, () => put)
  }, source)
}

/** What has two writers, or may lead to them. */
export const safety = [
  'one-writer-per-volume',
  'fenced-before-restarted',
  'no-acknowledged-write-lost',
  'epochs-only-grow',
  'proofs-are-true',
  'nothing-unordered-runs',
] as const satisfies readonly CheckerName[]

/** What does not become true in time. */
export const liveness = [
  'what-should-run-runs',
  'placement-matches-reality',
  'tasks-end',
  'plan-converges',
] as const satisfies readonly CheckerName[]
