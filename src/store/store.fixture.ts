/** What the parts of the contract suite, and the tests of the siblings, stand on. */
import assert from 'node:assert/strict'
import { DialtoneError, type ErrorCode } from '../model/dialtone-error.ts'
import type { MonotonicClock } from './monotonic-clock.ts'
import type { CommitResult, Revision, Store, Transaction } from './store.ts'

/** A place that a store can be opened in, one at a time; opened again, a durable one still has what was committed. */
export type StoreFixture = AsyncDisposable & {
  readonly open: (options?: { readonly clock?: MonotonicClock; readonly historyRevisions?: number }) => Promise<Store>
}

export type StoreContractOptions = { readonly isDurable: boolean; readonly createFixture: () => Promise<StoreFixture> }

export function put(key: string, value: string): Transaction {
  return { conditions: [], writes: [{ kind: 'put', key, value }] }
}

export function remove(key: string): Transaction {
  return { conditions: [], writes: [{ kind: 'delete', key }] }
}

export function revisionOf(result: CommitResult): Revision {
  assert.equal(result.kind, 'committed')
  return result.kind === 'committed' ? result.revision : 0
}

export async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: unknown) => error instanceof DialtoneError && error.code === code)
}
