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
    const follow = async () => {
      const { signal } = new AbortController()
      for await (const changeSet of store.watch('', { afterRevision: 1, signal })) {
        if (incarnation !== incarnations) return
        history.push({ atMs: time.nowMs(), changeSet })
        observe({ kind: 'committed', changeSet })
      }
    }
    void follow()
    return store
  }

  let store = open()
  await store.commit({ conditions: [], writes: firstWrites })
  return {
    present: () => store,
    async goBack(byMs) {
      const atMs = time.nowMs() - byMs
      const [first, ...later] = history
      const kept = first === undefined ? [] : [first, ...later.filter((entry) => entry.atMs <= atMs)]
      history = []
      observe({ kind: 'state-went-back' })
      store = open()
      for (const { changeSet } of kept) await store.commit({ conditions: [], writes: changeSet.changes.map(writeOf) })
    },
  }
}

function writeOf(change: ChangeSet['changes'][number]): Write {
  if (change.kind === 'put') return { kind: 'put', key: change.entry.key, value: change.entry.value }
  return { kind: 'delete', key: change.key }
}
