/** The change sets in the state file, one row a change. */
import { type HistoryPage, keyOf } from '../history-window.ts'
import type { Change, ChangeSet, Revision } from '../store.ts'
import { integerIn, optionalTextIn, type SqliteDatabase, type SqlRow, textIn } from './sqlite-database.ts'

export type SqliteHistory = {
  readonly append: (changeSet: ChangeSet) => void
  /** The caller has made sure that all of it is still kept. `presentRevision` is where the history ends. */
  readonly readAfter: (afterRevision: Revision, prefix: string, presentRevision: Revision) => HistoryPage
  readonly hasBelow: (revision: Revision) => boolean
  readonly sweepBelow: (revision: Revision, maxRows: number) => void
}

/** One page of history reads at most about this much, so that commits never wait long behind a reader. */
const pageRows = 2000
const pageCharacters = 1024 * 1024

export function createSqliteHistory(database: SqliteDatabase): SqliteHistory {
  const rowsFrom = database.prepare('SELECT * FROM history WHERE revision >= ? ORDER BY revision, ordinal')
  const add = database.prepare('INSERT INTO history VALUES (?, ?, ?, ?, ?)')
  const rowBelow = database.prepare('SELECT 1 FROM history WHERE revision < ? LIMIT 1')
  const sweep = database.prepare(`
    DELETE FROM history WHERE (revision, ordinal) IN (
      SELECT revision, ordinal FROM history WHERE revision < ? ORDER BY revision, ordinal LIMIT ?)`)
  return {
    append: ({ revision, changes }) => {
      for (const [ordinal, change] of changes.entries()) {
        const { createRevision, value } = change.kind === 'put' ? change.entry : { createRevision: 0, value: null }
        add.run(revision, ordinal, keyOf(change), createRevision, value)
      }
    },
    readAfter: (afterRevision, prefix, presentRevision) => {
      const { changeSets, cutAfter } = readPage(rowsFrom.each(afterRevision + 1), prefix)
      return { kind: 'page', changeSets, throughRevision: cutAfter ?? Math.max(presentRevision, afterRevision) }
    },
    hasBelow: (revision) => rowBelow.first(revision) !== undefined,
    sweepBelow: sweep.run,
  }
}

/** Gathers change sets until the page is full; `cutAfter` is the last revision read when rows remain, never half a revision. */
function readPage(rows: Iterable<SqlRow>, prefix: string): { changeSets: ChangeSet[]; cutAfter: Revision | undefined } {
  const changeSets: ChangeSet[] = []
  let changes: Change[] = []
  let revision: Revision | undefined
  let characters = 0
  let rowsRead = 0
  const finish = () => {
    if (revision !== undefined && changes.length > 0) changeSets.push({ revision, changes })
    changes = []
  }
  for (const row of rows) {
    const rowRevision = integerIn(row, 'revision')
    if (rowRevision !== revision) {
      finish()
      if (rowsRead >= pageRows || characters >= pageCharacters) return { changeSets, cutAfter: revision }
      revision = rowRevision
    }
    rowsRead += 1
    const key = textIn(row, 'key')
    if (!key.startsWith(prefix)) continue
    const change = changeIn(row)
    changes.push(change)
    characters += key.length + (change.kind === 'put' ? change.entry.value.length : 0)
  }
  finish()
  return { changeSets, cutAfter: undefined }
}

function changeIn(row: SqlRow): Change {
  const key = textIn(row, 'key')
  const value = optionalTextIn(row, 'value')
  const modRevision = integerIn(row, 'revision')
  if (value === undefined) return { kind: 'delete', key, modRevision }
  return { kind: 'put', entry: { key, value, createRevision: integerIn(row, 'create_revision'), modRevision } }
}
