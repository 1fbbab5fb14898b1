/**
 * The store without a file: for tests, the simulator and `dialtone dev`. It keeps every promise but durability. Everything
 * happens within the call and in its order, so that a run under a virtual clock can be repeated exactly.
 */
import { randomUUID } from 'node:crypto'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { applyTransaction, commitResult, endLease, type Keyspace, type Verdict } from '../apply-transaction.ts'
import { createHistoryWindow } from '../history-window.ts'
import { createLeaseTimers } from '../lease-timers.ts'
import { type MonotonicClock, processClock } from '../monotonic-clock.ts'
import { createRevisionBell } from '../revision-bell.ts'
import type { KeyValue, LeaseId, Revision, Store } from '../store.ts'
import {
  requireLeaseTtl,
  requireNotFuture,
  requireRevision,
  requireValidTransaction,
  storeLimits,
} from '../store-limits.ts'
import { watchHistory } from '../watch-history.ts'
import { compareKeys, createSortedKeys } from './sorted-keys.ts'

export type MemoryStoreOptions = {
  readonly clock?: MonotonicClock
  /** Makes the incarnation and the ids of leases. */
  readonly createId?: () => string
  /** How many revisions of history a watch can resume from; 20,000 unless told. */
  readonly historyRevisions?: number
}

/** An empty store at revision 1. Disposing it ends its watches and forgets everything. */
export function openMemoryStore(options: MemoryStoreOptions = {}): Store {
  const createId = options.createId ?? randomUUID
  const keyspace = createMemoryKeyspace()
  const timeline = createTimeline(options.historyRevisions ?? storeLimits.defaultHistoryRevisions)
  const { bell, history, record } = timeline
  const timers = createLeaseTimers({ clock: options.clock ?? processClock, onExpire: (id) => end(id) })
  let isClosed = false

  function end(leaseId: LeaseId): void {
    timers.forget(leaseId)
    record(endLease(keyspace, leaseId, timeline.revision() + 1))
  }

  function present(): void {
    if (isClosed) throw new DialtoneError('storage-failed', 'The memory store is closed.')
    timers.expireDue()
  }

  return {
    incarnation: createId(),
    get: async (key) => {
      present()
      return keyspace.get(key)
    },
    range: async (prefix) => {
      present()
      return { revision: timeline.revision(), entries: keyspace.entriesUnder(prefix) }
    },
    commit: async (transaction) => {
      requireValidTransaction(transaction)
      present()
      const verdict = applyTransaction(keyspace, transaction, timeline.revision() + 1)
      record(verdict)
      return commitResult(verdict, timeline.revision())
    },
    watch: (prefix, watchOptions) => watchHistory({ bell, readAfter: history.readAfter }, prefix, watchOptions),
    compact: async (below) => {
      requireRevision(below)
      present()
      requireNotFuture(below, timeline.revision())
      history.forgetBelow(below)
    },
    grantLease: async (ttlMs) => {
      requireLeaseTtl(ttlMs)
      present()
      const leaseId = createId()
      keyspace.addLease(leaseId)
      timers.arm(leaseId, ttlMs)
      return leaseId
    },
    keepLeaseAlive: async (leaseId) => {
      present()
      return timers.keepAlive(leaseId)
    },
    revokeLease: async (leaseId) => {
      present()
      end(leaseId)
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true
      timers.stop()
      bell.end()
    },
  }
}

/** Where the store stands, how it came there, and who waits for more. */
function createTimeline(historyRevisions: number) {
  let revision: Revision = 1
  const bell = createRevisionBell(revision)
  const history = createHistoryWindow({
    revision: 0,
    maxRevisions: historyRevisions,
    maxCharacters: Number.POSITIVE_INFINITY,
  })
  // Revision 1 is the empty store; it stands in the history so that revisions and change sets count alike.
  history.append({ revision, changes: [] })
  return {
    bell,
    history,
    revision: () => revision,
    record: (verdict: Verdict) => {
      if (verdict.kind !== 'changed') return
      revision = verdict.changeSet.revision
      history.append(verdict.changeSet)
      bell.ring(revision)
    },
  }
}

function createMemoryKeyspace() {
  const entries = new Map<string, KeyValue>()
  const keys = createSortedKeys()
  const keysByLease = new Map<LeaseId, Set<string>>()
  const leaseByKey = new Map<string, LeaseId>()

  function attach(key: string, leaseId: LeaseId | undefined): void {
    const earlier = leaseByKey.get(key)
    if (earlier !== undefined) keysByLease.get(earlier)?.delete(key)
    leaseByKey.delete(key)
    if (leaseId === undefined) return
    leaseByKey.set(key, leaseId)
    keysByLease.get(leaseId)?.add(key)
  }

  const keyspace: Keyspace = {
    find: (key) => entries.get(key),
    hasLease: (leaseId) => keysByLease.has(leaseId),
    // In key order, as the other siblings have it.
    keysOfLease: (leaseId) => [...(keysByLease.get(leaseId) ?? [])].toSorted(compareKeys),
    removeLease: (leaseId) => {
      keysByLease.delete(leaseId)
    },
    apply: (change, leaseId) => {
      if (change.kind === 'put') {
        attach(change.entry.key, leaseId)
        if (!entries.has(change.entry.key)) keys.add(change.entry.key)
        entries.set(change.entry.key, change.entry)
      } else {
        attach(change.key, undefined)
        keys.remove(change.key)
        entries.delete(change.key)
      }
    },
  }
  return {
    ...keyspace,
    get: (key: string) => entries.get(key),
    entriesUnder: (prefix: string) =>
      Array.from(keys.startingWith(prefix)).flatMap((key): KeyValue[] | KeyValue => entries.get(key) ?? []),
    addLease: (leaseId: LeaseId) => void keysByLease.set(leaseId, new Set()),
  }
}
