/** What the controllers of a simulated world have stored, and the way back to what was stored before. */
import { openMemoryStore } from '../../store/memory/memory-store.ts'
import type { ChangeSet, Store, Write } from '../../store/store.ts'
import type { Observation } from '../observation.ts'
import type { WorldTime } from '../time/world-time.ts'

export type KeptStore = {
  present(): Store
  /** As of so long ago, under the revisions that it had then: another incarnation, as a copy that is opened anew. */
  goBack(byMs: number): Promise<void>
}

export async function createKeptStore(
  time: WorldTime,
  firstWrites: readonly Write[],
  observe: (observation: Observation) => void,
): Promise<KeptStore> {
  let incarnations = 0
  let history: { readonly atMs: number; readonly changeSet: ChangeSet }[] = []

  const open = (): Store => {
    incarnations += 1
    const incarnation = incarnations
    const store = openMemoryStore({
      createId: () => `history-${incarnation}`,
      clock: { nowMs: time.nowMs, after: time.after },
    })
    return store
  }
  /** From what it holds now on. */
  const follow = async (followed: Store, afterRevision: number) => {
    const { signal } = new AbortController()
    for await (const changeSet of followed.watch('', { afterRevision, signal })) {
      if (followed !== store) return
      history.push({ atMs: time.nowMs(), changeSet })
      observe({ kind: 'committed', changeSet })
    }
  }

  let store = open()
  void follow(store, 1)
  await store.commit({ conditions: [], writes: firstWrites })
  return {
    present: () => store,
    async goBack(byMs) {
      const atMs = time.nowMs() - byMs
      const [first, ...later] = history
      history = first === undefined ? [] : [first, ...later.filter((entry) => entry.atMs <= atMs)]
      store = open()
      for (const { changeSet } of history)
        await store.commit({ conditions: [], writes: changeSet.changes.map(writeOf) })
      observe({ kind: 'state-went-back' })
      void follow(store, history.at(-1)?.changeSet.revision ?? 1)
    },
  }
}

function writeOf(change: ChangeSet['changes'][number]): Write {
  if (change.kind === 'put') return { kind: 'put', key: change.entry.key, value: change.entry.value }
  return { kind: 'delete', key: change.key }
}
