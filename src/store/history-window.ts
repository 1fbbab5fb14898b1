/** The newest change sets, in memory and bounded. The memory store's whole history, and the SQLite store's cache in front of the file. */
import type { Change, ChangeSet, Revision } from './store.ts'

/** A stretch of history: all change sets under a prefix from where the reader stood up to and with `throughRevision`. */
export type HistoryPage =
  | { readonly kind: 'page'; readonly changeSets: readonly ChangeSet[]; readonly throughRevision: Revision }
  | { readonly kind: 'compacted'; readonly oldestRevision: Revision }

export type HistoryWindow = {
  /** Change sets come in order and without gaps: each revision has exactly one. */
  readonly append: (changeSet: ChangeSet) => void
  readonly forgetBelow: (revision: Revision) => void
  readonly readAfter: (afterRevision: Revision, prefix: string) => HistoryPage
}

/** A reader holds no more than this many change sets at a time. */
const pageRevisions = 256

const forgotten: ChangeSet = { revision: 0, changes: [] }

export function createHistoryWindow(options: {
  /** The revision of the store now; the first change set appended is the next one. */
  readonly revision: Revision
  readonly maxRevisions: number
  /** Bounds the memory: the sum of the lengths of keys and values kept. */
  readonly maxCharacters: number
}): HistoryWindow {
  let changeSets: ChangeSet[] = []
  let head = 0
  let oldestRevision = options.revision + 1
  let characters = 0

  function dropOldest(): void {
    const oldest = changeSets[head]
    if (oldest === undefined) return
    characters -= charactersIn(oldest)
    head += 1
    oldestRevision = oldest.revision + 1
    if (head > 1024 && head * 2 > changeSets.length) {
      changeSets = changeSets.slice(head)
      head = 0
    } else {
      // Lets go of the values at once; the slot itself goes with the next slice.
      changeSets[head - 1] = forgotten
    }
  }

  return {
    append: (changeSet) => {
      changeSets.push(changeSet)
      characters += charactersIn(changeSet)
      while (changeSets.length - head > options.maxRevisions || characters > options.maxCharacters) dropOldest()
    },
    forgetBelow: (revision) => {
      while (head < changeSets.length && oldestRevision < revision) dropOldest()
    },
    readAfter: (afterRevision, prefix) => {
      if (afterRevision + 1 < oldestRevision) return { kind: 'compacted', oldestRevision }
      const start = head + (afterRevision + 1 - oldestRevision)
      const scanned = changeSets.slice(start, start + pageRevisions)
      const matching = scanned.flatMap((changeSet) => changesUnder(changeSet, prefix) ?? [])
      return {
        kind: 'page',
        changeSets: matching,
        throughRevision: scanned.at(-1)?.revision ?? afterRevision,
      }
    },
  }
}

/** The part of a change set that lies under the prefix, or undefined when nothing does. */
export function changesUnder(changeSet: ChangeSet, prefix: string): ChangeSet | undefined {
  const changes = changeSet.changes.filter((change) => keyOf(change).startsWith(prefix))
  if (changes.length === 0) return undefined
  return changes.length === changeSet.changes.length ? changeSet : { revision: changeSet.revision, changes }
}

export function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}

function charactersIn(changeSet: ChangeSet): number {
  let sum = 0
  for (const change of changeSet.changes) {
    sum += keyOf(change).length + (change.kind === 'put' ? change.entry.value.length : 0)
  }
  return sum
}
