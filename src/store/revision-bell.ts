import type { Revision } from './store.ts'

/** Wakes those who wait for the store to move on. It holds one small record for each who waits, and nothing else. */
export type RevisionBell = {
  readonly ring: (revision: Revision) => void
  /** Wakes everybody for good: `failure` when the store broke, nothing when it was closed. */
  readonly end: (failure?: Error) => void
  /** `ended` when the store was closed or `signal` aborted. Throws the failure that ended the store. */
  readonly waitBeyond: (revision: Revision, signal: AbortSignal) => Promise<'advanced' | 'ended'>
}

export function createRevisionBell(startRevision: Revision): RevisionBell {
  type Waiter = { readonly revision: Revision; readonly wake: () => void }
  const waiters = new Set<Waiter>()
  let current = startRevision
  let ended = false
  let failure: Error | undefined

  return {
    ring: (revision) => {
      current = revision
      for (const waiter of waiters) if (waiter.revision < current) waiter.wake()
    },
    end: (reason) => {
      if (ended) return
      ended = true
      failure = reason
      for (const waiter of waiters) waiter.wake()
    },
    waitBeyond: async (revision, signal) => {
      if (!ended && !signal.aborted && current <= revision) {
        await new Promise<void>((resolve) => {
          const waiter: Waiter = { revision, wake }
          function wake(): void {
            waiters.delete(waiter)
            signal.removeEventListener('abort', wake)
            resolve()
          }
          waiters.add(waiter)
          signal.addEventListener('abort', wake)
        })
      }
      if (failure !== undefined && !signal.aborted) throw failure
      return ended || signal.aborted ? 'ended' : 'advanced'
    },
  }
}
