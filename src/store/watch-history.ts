/**
 * A watch is a cursor, not a queue: the watcher remembers the revision it has reached and reads the next page of history
 * when it asks for more. So a slow watcher holds one page, whatever the others write; if the history moves past it, it is
 * told so instead of being given a gap.
 */
import { DialtoneError } from '../model/dialtone-error.ts'
import type { HistoryPage } from './history-window.ts'
import type { RevisionBell } from './revision-bell.ts'
import type { ChangeSet, Revision } from './store.ts'
import { requireRevision } from './store-limits.ts'

export type HistorySource = {
  readonly bell: RevisionBell
  readonly readAfter: (afterRevision: Revision, prefix: string) => HistoryPage | Promise<HistoryPage>
}

/** `Store.watch` over a source of history. An abort ends it at once, also while a page is being read. */
export async function* watchHistory(
  source: HistorySource,
  prefix: string,
  options: { readonly afterRevision: Revision; readonly signal: AbortSignal },
): AsyncGenerator<ChangeSet, void, undefined> {
  const { afterRevision, signal } = options
  requireRevision(afterRevision)
  let reached = afterRevision
  while ((await source.bell.waitBeyond(reached, signal)) === 'advanced') {
    const page = await unlessAborted(source.readAfter(reached, prefix), signal)
    if (page === undefined) return
    if (page.kind === 'compacted') {
      throw new DialtoneError(
        'revision-compacted',
        `The history after revision ${reached} is no longer kept; it begins with revision ${page.oldestRevision}.`,
        { detail: { oldestRevision: page.oldestRevision } },
      )
    }
    for (const changeSet of page.changeSets) {
      if (signal.aborted) return
      yield changeSet
    }
    reached = page.throughRevision
  }
}

async function unlessAborted(page: HistoryPage | Promise<HistoryPage>, signal: AbortSignal) {
  if (!(page instanceof Promise)) return page
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>()
  const onAbort = () => resolve(undefined)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([page, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
