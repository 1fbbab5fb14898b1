/** What the store and its thread say to each other. Everything here must survive a structured clone. */
import { DialtoneError, type ErrorCode } from '../../model/dialtone-error.ts'
import type { HistoryPage } from '../history-window.ts'
import type { KeyValue, Revision } from '../store.ts'
import type { StateSummary, WriteOperation, WriteOutcome } from './sqlite-keyspace.ts'

export type SqliteThreadOptions = {
  readonly path: string
  readonly incarnation: string
  readonly renewIncarnation: boolean
  readonly historyRevisions: number
}

export type SqliteRequest =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'range'; readonly prefix: string }
  | { readonly kind: 'history'; readonly afterRevision: Revision; readonly prefix: string }
  | { readonly kind: 'write'; readonly operations: readonly WriteOperation[] }
  | { readonly kind: 'close' }

export type SqliteReply =
  | { readonly kind: 'opened'; readonly summary: StateSummary }
  | { readonly kind: 'get'; readonly entry: KeyValue | undefined }
  | { readonly kind: 'range'; readonly revision: Revision; readonly entries: readonly KeyValue[] }
  | { readonly kind: 'history'; readonly page: HistoryPage }
  | { readonly kind: 'write'; readonly outcomes: readonly WriteOutcome[] }
  | { readonly kind: 'closed' }
  /** With `isFatal` the thread answers nothing more: what the disk holds is uncertain until the file is opened anew. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly isFatal: boolean }

/** Narrows what a thread was started with. By hand, so that the thread does not load a schema library for four fields. */
export function isThreadOptions(value: unknown): value is SqliteThreadOptions {
  return (
    typeof value === 'object' &&
    value !== null &&
    'path' in value &&
    typeof value.path === 'string' &&
    'incarnation' in value &&
    typeof value.incarnation === 'string' &&
    'renewIncarnation' in value &&
    typeof value.renewIncarnation === 'boolean' &&
    'historyRevisions' in value &&
    typeof value.historyRevisions === 'number'
  )
}

/** Requests carry ascending ids; the thread's first message, about the opening, has the id 0. */
export type Numbered<Body> = { readonly id: number; readonly body: Body }

export function isReply<Kind extends SqliteReply['kind']>(
  reply: SqliteReply,
  kind: Kind,
): reply is Extract<SqliteReply, { kind: Kind }> {
  return reply.kind === kind
}

/** Narrows a reply to what was asked for; throws what the thread failed with. */
export function expectReply<Kind extends SqliteReply['kind']>(
  reply: SqliteReply,
  kind: Kind,
): Extract<SqliteReply, { kind: Kind }> {
  if (isReply(reply, kind)) return reply
  if (reply.kind === 'failed') throw new DialtoneError(reply.code, reply.message)
  throw new DialtoneError('internal', `The store's thread answered ${reply.kind} to ${kind}.`)
}
