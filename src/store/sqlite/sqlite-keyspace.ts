/** What the state file holds and how it changes. All of it runs in the store's own thread. */
import { applyTransaction, endLease, type Keyspace, type Verdict } from '../apply-transaction.ts'
import type { HistoryPage } from '../history-window.ts'
import type { KeyValue, LeaseId, Revision, Transaction } from '../store.ts'
import { integerIn, type SqliteDatabase, type SqlRow, textIn } from './sqlite-database.ts'
import { createSqliteHistory } from './sqlite-history.ts'

/** What changes the file. Operations queued together share one SQLite transaction and so one wait for the disk. */
export type WriteOperation =
  | { readonly kind: 'commit'; readonly transaction: Transaction }
  | { readonly kind: 'grant-lease'; readonly leaseId: LeaseId; readonly ttlMs: number }
  | { readonly kind: 'end-lease'; readonly leaseId: LeaseId }
  /** Does nothing when the revision is in the future. */
  | { readonly kind: 'compact'; readonly revision: Revision }

/** `revision`: that of the store after the operation. */
export type WriteOutcome = { readonly verdict: Verdict; readonly revision: Revision }

export type StateSummary = {
  readonly incarnation: string
  readonly revision: Revision
  readonly leases: readonly { readonly leaseId: LeaseId; readonly ttlMs: number }[]
}

export type SqliteKeyspace = {
  readonly summary: () => StateSummary
  readonly get: (key: string) => KeyValue | undefined
  readonly range: (prefix: string) => { readonly revision: Revision; readonly entries: readonly KeyValue[] }
  readonly history: (afterRevision: Revision, prefix: string) => HistoryPage
  /** All operations in one durable step, each with its own outcome and, where it changed something, its own revision. */
  readonly write: (operations: readonly WriteOperation[]) => readonly WriteOutcome[]
  /** Deletes some rows of forgotten history; true when there is more to do. */
  readonly sweep: () => boolean
}

/** Rows of forgotten history that each write takes along. More than it adds, except for the largest transactions. */
const sweptRowsPerWrite = 64
const sweptRowsPerStep = 500

export function createSqliteKeyspace(
  database: SqliteDatabase,
  options: { readonly historyRevisions: number },
): SqliteKeyspace {
  const present = createPresent(database)
  const history = createSqliteHistory(database)
  const state = database.prepare('SELECT incarnation, revision, oldest_revision FROM state')
  const setState = database.prepare('UPDATE state SET revision = ?, oldest_revision = ?')
  const opened = state.first() ?? {}
  const incarnation = textIn(opened, 'incarnation')
  let revision = integerIn(opened, 'revision')
  let oldestRevision = integerIn(opened, 'oldest_revision')

  function carryOut(operation: WriteOperation): Verdict {
    switch (operation.kind) {
      case 'commit':
        return applyTransaction(present, operation.transaction, revision + 1)
      case 'end-lease':
        return endLease(present, operation.leaseId, revision + 1)
      case 'grant-lease':
        present.addLease(operation.leaseId, operation.ttlMs)
        return { kind: 'unchanged' }
      case 'compact':
        if (operation.revision <= revision) oldestRevision = Math.max(oldestRevision, operation.revision)
        return { kind: 'unchanged' }
    }
  }

  function writeAll(operations: readonly WriteOperation[]): WriteOutcome[] {
    const outcomes = operations.map((operation) => {
      const verdict = carryOut(operation)
      if (verdict.kind === 'changed') {
        history.append(verdict.changeSet)
        revision = verdict.changeSet.revision
      }
      return { verdict, revision }
    })
    oldestRevision = Math.max(oldestRevision, revision - options.historyRevisions + 1)
    setState.run(revision, oldestRevision)
    history.sweepBelow(oldestRevision, sweptRowsPerWrite * operations.length)
    return outcomes
  }

  return {
    summary: () => ({ incarnation, revision, leases: present.leases() }),
    get: present.get,
    range: (prefix) => ({ revision, entries: present.entriesUnder(prefix) }),
    history: (afterRevision, prefix) =>
      afterRevision + 1 < oldestRevision
        ? { kind: 'compacted', oldestRevision }
        : history.readAfter(afterRevision, prefix, revision),
    write: (operations) => {
      const before = { revision, oldestRevision }
      try {
        return database.transaction(() => writeAll(operations))
      } catch (error) {
        revision = before.revision
        oldestRevision = before.oldestRevision
        throw error
      }
    },
    sweep: () => {
      if (!history.hasBelow(oldestRevision)) return false
      database.transaction(() => history.sweepBelow(oldestRevision, sweptRowsPerStep))
      return true
    },
  }
}

type Present = Keyspace & {
  readonly get: (key: string) => KeyValue | undefined
  readonly entriesUnder: (prefix: string) => readonly KeyValue[]
  readonly leases: () => StateSummary['leases']
  readonly addLease: (leaseId: LeaseId, ttlMs: number) => void
}

function createPresent(database: SqliteDatabase): Present {
  const entry = database.prepare('SELECT * FROM entry WHERE key = ?')
  const entriesFrom = database.prepare('SELECT * FROM entry WHERE key >= ? ORDER BY key')
  const find = database.prepare('SELECT create_revision, mod_revision FROM entry WHERE key = ?')
  const allLeases = database.prepare('SELECT lease_id, ttl_ms FROM lease')
  const addLease = database.prepare('INSERT INTO lease VALUES (?, ?)')
  const lease = database.prepare('SELECT 1 FROM lease WHERE lease_id = ?')
  const keysOfLease = database.prepare('SELECT key FROM entry WHERE lease_id = ? ORDER BY key')
  const removeLease = database.prepare('DELETE FROM lease WHERE lease_id = ?')
  const put = database.prepare(`
    INSERT INTO entry (key, create_revision, mod_revision, lease_id, value) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET mod_revision = excluded.mod_revision, lease_id = excluded.lease_id, value = excluded.value`)
  const remove = database.prepare('DELETE FROM entry WHERE key = ?')
  return {
    get: (key) => {
      const row = entry.first(key)
      return row === undefined ? undefined : entryIn(row)
    },
    entriesUnder: (prefix) => {
      const entries: KeyValue[] = []
      for (const row of entriesFrom.each(prefix)) {
        if (!textIn(row, 'key').startsWith(prefix)) break
        entries.push(entryIn(row))
      }
      return entries
    },
    find: (key) => {
      const row = find.first(key)
      if (row === undefined) return undefined
      return { createRevision: integerIn(row, 'create_revision'), modRevision: integerIn(row, 'mod_revision') }
    },
    leases: () =>
      Array.from(allLeases.each(), (row) => ({ leaseId: textIn(row, 'lease_id'), ttlMs: integerIn(row, 'ttl_ms') })),
    addLease: addLease.run,
    hasLease: (leaseId) => lease.first(leaseId) !== undefined,
    keysOfLease: (leaseId) => Array.from(keysOfLease.each(leaseId), (row) => textIn(row, 'key')),
    removeLease: (leaseId) => removeLease.run(leaseId),
    apply: (change, leaseId) => {
      if (change.kind === 'delete') return remove.run(change.key)
      const { key, value, createRevision, modRevision } = change.entry
      put.run(key, createRevision, modRevision, leaseId ?? null, value)
    },
  }
}

function entryIn(row: SqlRow): KeyValue {
  return {
    key: textIn(row, 'key'),
    value: textIn(row, 'value'),
    createRevision: integerIn(row, 'create_revision'),
    modRevision: integerIn(row, 'mod_revision'),
  }
}
