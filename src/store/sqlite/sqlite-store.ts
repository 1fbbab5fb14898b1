/**
 * The store of the embedded default: one SQLite file, one process.
 *
 * SQLite runs in a thread of its own and commits in groups. Measured on two shared cores: bursts of 10 commits of 700 bytes,
 * 20 times a second, ranges over three runs of 6 s; the main-thread rows with a prototype of the same shape.
 *
 * |                                        | commit p50  | commit p99  | event loop delay p99 | worst     |
 * |----------------------------------------|-------------|-------------|----------------------|-----------|
 * | idle disk, main thread, each alone     | 1.1–1.5 ms  | 6–15 ms     | 3–5 ms               | 11–45 ms  |
 * | idle disk, main thread, grouped        | 0.7–1.2 ms  | 1–5 ms      | 1.3–1.4 ms           | 3–6 ms    |
 * | idle disk, own thread, each alone      | 2.5–3.7 ms  | 10–14 ms    | 1.6–1.7 ms           | 4–7 ms    |
 * | idle disk, own thread, grouped         | 1.2–1.7 ms  | 5–7 ms      | 1.4–1.8 ms           | 6–43 ms   |
 * | `dd` writing, main thread, each alone  | 1.5–2.4 ms  | 141–236 ms  | 28–45 ms             | 241–275 ms |
 * | `dd` writing, main thread, grouped     | 3–16 ms     | 147–193 ms  | 16–38 ms             | 149–193 ms |
 * | `dd` writing, own thread, each alone   | 32–54 ms    | 190–247 ms  | 1.8–2.2 ms           | 5–34 ms   |
 * | `dd` writing, own thread, grouped      | 20–26 ms    | 127–156 ms  | 1.7–2.5 ms           | 6–39 ms   |
 *
 * (On the main thread, the commits of a stalled loop were never issued, which flatters its p50 under load.) With 32 writers
 * that wait for their commits, groups give 30,000–36,000 a second instead of 3,000, and under load 8,000–12,000 instead of
 * 760–1,150; a single writer gains nothing. A stall of 200 ms delays the acknowledgement of every heartbeat by as much, so
 * the thread is worth its memory: about 35 MiB, half of it for stripping types, which a compile cache saves.
 */
import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { commitResult } from '../apply-transaction.ts'
import { type MonotonicClock, processClock } from '../monotonic-clock.ts'
import { createRevisionBell, type RevisionBell } from '../revision-bell.ts'
import type { Store } from '../store.ts'
import { requireNotFuture, requireRevision, requireValidTransaction, storeLimits } from '../store-limits.ts'
import { watchHistory } from '../watch-history.ts'
import { createRecentHistory, type RecentHistory } from './recent-history.ts'
import type { WriteOperation, WriteOutcome } from './sqlite-keyspace.ts'
import { createSqliteLeases } from './sqlite-leases.ts'
import { expectReply } from './sqlite-messages.ts'
import { type SqliteThread, startSqliteThread } from './start-sqlite-thread.ts'
import { withinDeadline } from './within-deadline.ts'
import { createWriteQueue } from './write-queue.ts'

export type SqliteStoreOptions = {
  /** Made when it does not exist (its folder must), readable by its owner only. `-wal` beside it belongs to it. */
  readonly path: string
  /** Counts the leases. */
  readonly clock?: MonotonicClock
  /** Makes the incarnation and the ids of leases. */
  readonly createId?: () => string
  /** How many revisions of history a watch can resume from; 20,000 unless told. */
  readonly historyRevisions?: number
  /** The file was restored from a copy: from now on it is another history. */
  readonly newIncarnation?: boolean
  /** After this a call fails with `deadline-exceeded`; 30 s unless told. A write may still be done. */
  readonly callDeadlineMs?: number
}

/** How long closing waits for writes that were accepted already. */
const closeDeadlineMs = 5000

/**
 * Opens or makes the file. Its leases start anew with their whole time to live, as etcd's do when its leader changes: who
 * fences itself counts from the last keepalive it sent, on its own clock.
 * Throws `in-use` (naming the process that has it), `image-corrupt` (damaged, foreign or newer; left untouched),
 * `storage-failed`. After a fault of the disk in the middle of a commit every call and watch fails with `storage-failed`:
 * only opening the file anew tells what was written.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const clock = options.clock ?? processClock
  const createId = options.createId ?? randomUUID
  const path = resolve(options.path)
  const historyRevisions = options.historyRevisions ?? storeLimits.defaultHistoryRevisions
  const thread = await startSqliteThread({
    path,
    incarnation: createId(),
    renewIncarnation: options.newIncarnation ?? false,
    historyRevisions,
  })
  const bell = createRevisionBell(thread.summary.revision)
  const recent = createRecentHistory(thread, historyRevisions)
  const queue = createWriteQueue((operations) => writeGroup(operations, { thread, recent, bell }))
  const leases = createSqliteLeases({ clock, createId, queue, remembered: thread.summary.leases })
  thread.onFailure((failure) => {
    leases.stop()
    bell.end(failure)
  })
  let isClosed = false

  /** Every call: refused on a closed store, leases judged by the clock first, bounded in time. */
  function call<Result>(start: () => Promise<Result>): Promise<Result> {
    if (isClosed) throw new DialtoneError('storage-failed', `The store at ${path} is closed.`)
    leases.expireDue()
    return withinDeadline(start(), {
      clock,
      deadlineMs: options.callDeadlineMs ?? 30_000,
      what: `The store at ${path}`,
    })
  }

  return {
    incarnation: thread.summary.incarnation,
    get: async (key) => expectReply(await call(() => thread.ask({ kind: 'get', key })), 'get').entry,
    range: async (prefix) => {
      const { revision, entries } = expectReply(await call(() => thread.ask({ kind: 'range', prefix })), 'range')
      return { revision, entries }
    },
    commit: async (transaction) => {
      requireValidTransaction(transaction)
      const { verdict, revision } = await call(() => queue.submit({ kind: 'commit', transaction }))
      return commitResult(verdict, revision)
    },
    watch: (prefix, watchOptions) => watchHistory({ bell, readAfter: recent.readAfter }, prefix, watchOptions),
    compact: async (below) => {
      requireRevision(below)
      const outcome = await call(() => queue.submit({ kind: 'compact', revision: below }))
      requireNotFuture(below, outcome.revision)
      recent.forgetBelow(below)
    },
    grantLease: async (ttlMs) => call(() => leases.grant(ttlMs)),
    keepLeaseAlive: async (leaseId) => call(async () => leases.keepAlive(leaseId)),
    revokeLease: async (leaseId) => call(() => leases.revoke(leaseId)),
    [Symbol.asyncDispose]: async () => {
      if (isClosed) return
      isClosed = true
      leases.stop()
      bell.end()
      const drained = withinDeadline(queue.drained(), { clock, deadlineMs: closeDeadlineMs, what: path })
      await drained.catch(() => undefined)
      await thread.close()
    },
  }
}

/** Watchers learn of a change when the disk has it, just before the one who made it. */
async function writeGroup(
  operations: readonly WriteOperation[],
  to: { readonly thread: SqliteThread; readonly recent: RecentHistory; readonly bell: RevisionBell },
): Promise<readonly WriteOutcome[]> {
  const { outcomes } = expectReply(await to.thread.ask({ kind: 'write', operations }), 'write')
  for (const { verdict, revision } of outcomes) {
    if (verdict.kind !== 'changed') continue
    to.recent.append(verdict.changeSet)
    to.bell.ring(revision)
  }
  return outcomes
}
