/** The store in the hands of a controller that can be stopped and killed: what it asked for takes a moment, and dies with it before that. */
import type { ChangeSet, Store } from '../../store/store.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { ProcessLife } from '../time/process-life.ts'

/** A commit waits for the disk; a read doesn't. */
const commitTakesMs = [0.3, 3] as const
const readTakesMs = [0.02, 0.2] as const

export function bindStore(store: Store, life: ProcessLife, random: SeededRandom): Store {
  const during = async <T>(takesMs: readonly [number, number], effect: () => Promise<T>): Promise<T> => {
    const halfMs = random.between(takesMs[0], takesMs[1]) / 2
    await life.clock.sleep(halfMs)
    // It is done in any case from here on; whether the controller hears of it is another matter.
    const done = effect()
    done.catch(() => undefined)
    await life.clock.sleep(halfMs)
    return life.gate(done)
  }
  async function* watchBound(
    ...[prefix, { afterRevision, signal }]: Parameters<Store['watch']>
  ): AsyncGenerator<ChangeSet> {
    const ended = new AbortController()
    life.onEnd(() => ended.abort())
    const bound = AbortSignal.any([signal, ended.signal])
    for await (const changeSet of store.watch(prefix, { afterRevision, signal: bound }))
      yield await life.gate(Promise.resolve(changeSet))
  }
  return {
    incarnation: store.incarnation,
    get: (key) => during(readTakesMs, () => store.get(key)),
    range: (prefix) => during(readTakesMs, () => store.range(prefix)),
    commit: (transaction) => during(commitTakesMs, () => store.commit(transaction)),
    watch: watchBound,
    compact: (revision) => during(commitTakesMs, () => store.compact(revision)),
    grantLease: (ttlMs) => during(commitTakesMs, () => store.grantLease(ttlMs)),
    keepLeaseAlive: (leaseId) => during(commitTakesMs, () => store.keepLeaseAlive(leaseId)),
    revokeLease: (leaseId) => during(commitTakesMs, () => store.revokeLease(leaseId)),
    [Symbol.asyncDispose]: async () => undefined,
  }
}
