/**
 * What the cluster remembers, as a port. Its shape is etcd's: one keyspace of strings ordered by a global revision,
 * transactions that compare before they write, watches that resume from a revision, and leases. Three siblings keep
 * this promise (`memory/`, `sqlite/`, later `etcd/`) and one contract suite (`store.contract.ts`) holds them to it.
 */

/**
 * A point in the store's history. Starts at 1 for an empty store and grows by 1 with each committed transaction that changes
 * something: one without writes, or that only deletes what is not there, commits at the revision that is.
 */
export type Revision = number

export type KeyValue = {
  readonly key: string
  readonly value: string
  /** Revision at which the key came to be (after its last deletion). */
  readonly createRevision: Revision
  /** Revision of the last write: what compare-and-swap compares. */
  readonly modRevision: Revision
}

/** `modRevision` 0 demands that the key does not exist. */
export type Condition = { readonly key: string; readonly modRevision: Revision }

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly leaseId?: LeaseId }
  | { readonly kind: 'delete'; readonly key: string }

export type Transaction = { readonly conditions: readonly Condition[]; readonly writes: readonly Write[] }

/** All conditions are checked and all writes done in one step, or none. `conflicts` names the keys that were not as demanded. */
export type CommitResult =
  | { readonly kind: 'committed'; readonly revision: Revision }
  | { readonly kind: 'conflict'; readonly conflicts: readonly string[] }

export type Change =
  | { readonly kind: 'put'; readonly entry: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: Revision }

/** All changes under the watched prefix that one transaction made, together. */
export type ChangeSet = { readonly revision: Revision; readonly changes: readonly Change[] }

export type LeaseId = string

export type Store = AsyncDisposable & {
  /** Names this history: a store restored from a backup, or made anew, has another incarnation. */
  readonly incarnation: string
  get(key: string): Promise<KeyValue | undefined>
  /** All keys that start with `prefix`, in key order, as of one revision. */
  range(prefix: string): Promise<{ readonly revision: Revision; readonly entries: readonly KeyValue[] }>
  /**
   * Durable when it returns: a kill -9 after that loses nothing. Throws `invalid-input` beyond `storeLimits`, `not-found` when
   * the conditions hold but a lease that is named has expired, `deadline-exceeded` when it may or may not have been done.
   */
  commit(transaction: Transaction): Promise<CommitResult>
  /**
   * Yields every change set after `afterRevision` in order, without gaps or repeats, until `signal` aborts (then it ends).
   * Throws DialtoneError `revision-compacted` when that history is no longer kept: read the range anew and watch from there.
   */
  watch(
    prefix: string,
    options: { readonly afterRevision: Revision; readonly signal: AbortSignal },
  ): AsyncIterable<ChangeSet>
  /** Forgets the history below `revision` (not the current values). Throws `invalid-input` when that is in the future. */
  compact(revision: Revision): Promise<void>
  grantLease(ttlMs: number): Promise<LeaseId>
  /** False when the lease has expired. Keys put with an expired or revoked lease are deleted in one transaction. */
  keepLeaseAlive(leaseId: LeaseId): Promise<boolean>
  revokeLease(leaseId: LeaseId): Promise<void>
}
