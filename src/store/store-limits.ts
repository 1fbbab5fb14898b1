import { DialtoneError } from '../model/dialtone-error.ts'
import type { Revision, Transaction } from './store.ts'

/** What every sibling refuses, so that a state that fits into one of them fits into all. */
export const storeLimits = {
  keyBytes: 1024,
  valueBytes: 1024 * 1024,
  writesPerTransaction: 512,
  conditionsPerTransaction: 512,
  /** Bounds the largest change set, and with it what a watcher must hold at once. */
  transactionBytes: 8 * 1024 * 1024,
  /** Longer delays overflow a timer. */
  leaseTtlMs: 24 * 60 * 60 * 1000,
  defaultHistoryRevisions: 20_000,
} as const

/** Throws `invalid-input` when a transaction exceeds `storeLimits`, names a key twice or holds text that UTF-8 cannot carry. */
export function requireValidTransaction(transaction: Transaction): void {
  const { conditions, writes } = transaction
  if (writes.length > storeLimits.writesPerTransaction) {
    throw invalid(`A transaction has at most ${storeLimits.writesPerTransaction} writes, this one ${writes.length}.`)
  }
  if (conditions.length > storeLimits.conditionsPerTransaction) {
    throw invalid(
      `A transaction has at most ${storeLimits.conditionsPerTransaction} conditions, this one ${conditions.length}.`,
    )
  }
  for (const condition of conditions) {
    requireValidKey(condition.key)
    requireRevision(condition.modRevision)
  }
  const written = new Set<string>()
  let bytes = 0
  for (const write of writes) {
    requireValidKey(write.key)
    if (written.has(write.key)) throw invalid(`A transaction writes the key ${write.key} more than once.`)
    written.add(write.key)
    bytes += Buffer.byteLength(write.key) + (write.kind === 'put' ? requireValidValue(write.key, write.value) : 0)
  }
  if (bytes > storeLimits.transactionBytes) {
    throw invalid(`A transaction has at most ${storeLimits.transactionBytes} bytes, this one ${bytes}.`)
  }
}

export function requireRevision(revision: Revision): void {
  if (!Number.isSafeInteger(revision) || revision < 0) throw invalid(`${revision} is not a revision.`)
}

export function requireNotFuture(revision: Revision, presentRevision: Revision): void {
  if (revision <= presentRevision) return
  throw invalid(`Revision ${revision} is in the future; the store is at ${presentRevision}.`)
}

export function requireLeaseTtl(ttlMs: number): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1 || ttlMs > storeLimits.leaseTtlMs) {
    throw invalid(`The time to live of a lease is a whole number of milliseconds from 1 to ${storeLimits.leaseTtlMs}.`)
  }
}

function requireValidKey(key: string): void {
  if (key === '') throw invalid('A key has at least one character.')
  if (!key.isWellFormed()) throw invalid('A key is well-formed Unicode.')
  if (Buffer.byteLength(key) > storeLimits.keyBytes) {
    throw invalid(`A key has at most ${storeLimits.keyBytes} bytes; this one begins with ${key.slice(0, 40)}.`)
  }
}

function requireValidValue(key: string, value: string): number {
  if (!value.isWellFormed()) throw invalid(`The value of ${key} is not well-formed Unicode.`)
  const bytes = Buffer.byteLength(value)
  if (bytes > storeLimits.valueBytes) {
    throw invalid(`A value has at most ${storeLimits.valueBytes} bytes, that of ${key} has ${bytes}.`)
  }
  return bytes
}

function invalid(sentence: string): DialtoneError {
  return new DialtoneError('invalid-input', sentence)
}
