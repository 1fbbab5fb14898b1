/** The one place that decides what a transaction does. The siblings lend it their keyspace, so that they cannot differ. */
import { DialtoneError } from '../model/dialtone-error.ts'
import type { Change, ChangeSet, CommitResult, LeaseId, Revision, Transaction, Write } from './store.ts'

/** What a sibling lends: synchronous access to its present state. */
export type Keyspace = {
  readonly find: (key: string) => { readonly createRevision: Revision; readonly modRevision: Revision } | undefined
  readonly hasLease: (leaseId: LeaseId) => boolean
  readonly keysOfLease: (leaseId: LeaseId) => readonly string[]
  readonly removeLease: (leaseId: LeaseId) => void
  /** Puts the change into the present state; `leaseId` replaces the key's earlier lease, undefined detaches it. */
  readonly apply: (change: Change, leaseId: LeaseId | undefined) => void
}

export type Verdict =
  | { readonly kind: 'changed'; readonly changeSet: ChangeSet }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'conflict'; readonly conflicts: readonly string[] }
  | { readonly kind: 'no-such-lease'; readonly leaseId: LeaseId }

/** Judges first and writes afterwards: a verdict other than `changed` has left the keyspace as it was. */
export function applyTransaction(keyspace: Keyspace, transaction: Transaction, revision: Revision): Verdict {
  const conflicts = new Set<string>()
  for (const { key, modRevision } of transaction.conditions) {
    if ((keyspace.find(key)?.modRevision ?? 0) !== modRevision) conflicts.add(key)
  }
  if (conflicts.size > 0) return { kind: 'conflict', conflicts: [...conflicts] }
  for (const write of transaction.writes) {
    if (write.kind === 'put' && write.leaseId !== undefined && !keyspace.hasLease(write.leaseId)) {
      return { kind: 'no-such-lease', leaseId: write.leaseId }
    }
  }
  return applyWrites(keyspace, transaction.writes, revision)
}

/** What the caller of `commit` learns; `revision` is the store's after it. */
export function commitResult(verdict: Verdict, revision: Revision): CommitResult {
  switch (verdict.kind) {
    case 'changed':
    case 'unchanged':
      return { kind: 'committed', revision }
    case 'conflict':
      return verdict
    case 'no-such-lease':
      throw new DialtoneError('not-found', `The lease ${verdict.leaseId} has expired or was never granted.`)
  }
}

/** Ends a lease and deletes the keys that hang on it. */
export function endLease(keyspace: Keyspace, leaseId: LeaseId, revision: Revision): Verdict {
  const keys = keyspace.keysOfLease(leaseId)
  keyspace.removeLease(leaseId)
  return applyWrites(
    keyspace,
    keys.map((key): Write => ({ kind: 'delete', key })),
    revision,
  )
}

function applyWrites(keyspace: Keyspace, writes: readonly Write[], revision: Revision): Verdict {
  const changes: Change[] = []
  for (const write of writes) {
    const previous = keyspace.find(write.key)
    if (write.kind === 'delete' && previous === undefined) continue
    const change: Change =
      write.kind === 'delete'
        ? { kind: 'delete', key: write.key, modRevision: revision }
        : {
            kind: 'put',
            entry: {
              key: write.key,
              value: write.value,
              createRevision: previous?.createRevision ?? revision,
              modRevision: revision,
            },
          }
    keyspace.apply(change, write.kind === 'put' ? write.leaseId : undefined)
    changes.push(change)
  }
  return changes.length === 0 ? { kind: 'unchanged' } : { kind: 'changed', changeSet: { revision, changes } }
}
