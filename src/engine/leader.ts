/** What every part of the engine shares: who leads, the store, the index, time, and how things are written. */
import type { Clock } from '../model/clock.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Logger } from '../model/logger.ts'
import type { CommitResult, Condition, Store, Write } from '../store/store.ts'
import type { RandomBytes } from './agent-port.ts'
import type { ClusterIndex } from './state/cluster-index.ts'
import { keys } from './state/keys.ts'
import type { EventLedger } from './state/ledger-of-events.ts'
import { waitOrAbort } from './wait-or-abort.ts'

export type Leader = {
  /** Grows when it has to: see `riseAbove`. */
  readonly term: number
  /** Takes a term above this one, which an agent has heard of: only a store that went back in time doesn't know it. */
  riseAbove(term: number): Promise<void>
  /** When this term began, on the leader's clock. */
  readonly startedAtMs: number
  readonly store: Store
  readonly index: ClusterIndex
  readonly events: EventLedger
  readonly clock: Clock
  readonly logger: Logger
  readonly randomBytes: RandomBytes
  /** Aborts when this controller stops leading. */
  readonly signal: AbortSignal
}

/** Takes the next term, above this one, durably. */
export async function takeTerm(store: Store, above = 0): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const current = await store.get(keys.term)
    const term = Math.max(above, current === undefined ? 0 : Number(JSON.parse(current.value))) + 1
    const result = await store.commit({
      conditions: [{ key: keys.term, modRevision: current?.modRevision ?? 0 }],
      writes: [{ kind: 'put', key: keys.term, value: JSON.stringify(term) }],
    })
    if (result.kind === 'committed') return term
  }
  throw new DialtoneError('conflict', 'the term could not be taken: another controller takes it at the same time')
}

export function put(key: string, value: unknown): Write {
  return { kind: 'put', key, value: JSON.stringify(value) }
}

/** Demands that the key is still as the index knows it. */
export function unchanged(leader: Pick<Leader, 'index'>, key: string): Condition {
  return { key, modRevision: leader.index.modRevision(key) }
}

/**
 * Commits and waits until the index has it, so that whoever decides next sees what was just written. Throws `not-leader` once this
 * controller leads no more: from then on it writes nothing.
 */
export async function commitAndSee(
  leader: Pick<Leader, 'store' | 'index' | 'signal'>,
  transaction: { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] },
): Promise<CommitResult> {
  const { signal } = leader
  if (signal.aborted) throw new DialtoneError('not-leader', 'this controller leads no more')
  const result = await leader.store.commit(transaction)
  if (result.kind === 'committed') await waitOrAbort(leader.index.caughtUp(result.revision), signal)
  return result
}

const attemptsAtMost = 20

/**
 * Tries until it is committed: each attempt looks at the state anew, and resolves with undefined when somebody else has changed what it was
 * decided from. Throws `conflict` when that happens again and again. `reference`: what is being changed, in the user's words.
 */
export async function untilCommitted<Result>(
  reference: string,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  for (let tried = 0; tried < attemptsAtMost; tried += 1) {
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new DialtoneError('conflict', `${reference} is being changed by others at the same time`)
}

/** What makes an admission one at a time, where a reserve is kept. To be taken in the same moment as the state that it is judged by. */
export function oneAdmission(
  leader: Pick<Leader, 'index'>,
  admitted: string,
): { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] } {
  if (leader.index.state().cluster.hostFailuresToTolerate === 0) return { conditions: [], writes: [] }
  return { conditions: [unchanged(leader, keys.admission)], writes: [put(keys.admission, admitted)] }
}
