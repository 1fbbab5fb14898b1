import { createHistoryWindow, type HistoryPage, type HistoryWindow } from '../history-window.ts'
import type { Revision } from '../store.ts'
import { expectReply } from './sqlite-messages.ts'
import type { SqliteThread } from './start-sqlite-thread.ts'

export type RecentHistory = Omit<HistoryWindow, 'readAfter'> & {
  readonly readAfter: (afterRevision: Revision, prefix: string) => HistoryPage | Promise<HistoryPage>
}

/** At most this much of the history is kept in memory, for all watchers together. */
const recentRevisions = 1000
const recentCharacters = 2 * 1024 * 1024

/** History for watchers: from memory for those who keep up, so that they wait for no disk; from the file for the others. */
export function createRecentHistory(thread: SqliteThread, historyRevisions: number): RecentHistory {
  const window = createHistoryWindow({
    revision: thread.summary.revision,
    maxRevisions: Math.min(recentRevisions, historyRevisions),
    maxCharacters: recentCharacters,
  })
  async function readFile(afterRevision: Revision, prefix: string): Promise<HistoryPage> {
    return expectReply(await thread.ask({ kind: 'history', afterRevision, prefix }), 'history').page
  }
  return {
    append: window.append,
    forgetBelow: window.forgetBelow,
    readAfter: (afterRevision, prefix) => {
      const page = window.readAfter(afterRevision, prefix)
      return page.kind === 'page' ? page : readFile(afterRevision, prefix)
    },
  }
}
