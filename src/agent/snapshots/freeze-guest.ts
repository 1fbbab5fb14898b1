/** The guest's file systems in order for an instant, by the guest's own agent, within bounds: a guest is never left holding its writes unsaid. */
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { SnapshotWish } from '../../model/snapshots/snapshot.ts'
import type { AskFileSystems, RunningMachine } from '../hypervisor/hypervisor.ts'

/** What its owner put into the agent's hook takes its time: a database that writes down what it has. */
const freezeTimeoutMs = 8_000
/** An agent that is there answers sooner; most guests that don't have none, and their machine is not kept waiting for it. */
const listensWithinMs = 3_000
const thawTimeoutMs = 4_000
const thawAttempts = 3

/**
 * Does the work while the guest holds its writes, if it can and is asked to; `isFrozen` says whether it did. Throws `guest-silent` when it was
 * required and the guest can't, or when the guest does not let go afterwards.
 */
export async function whileFrozen<Result>(
  machine: RunningMachine,
  freeze: SnapshotWish['freeze'],
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly isFrozen: boolean }> {
  if (freeze === 'never') return { result: await work(), isFrozen: false }
  return machine.withGuestFileSystems(async (ask) => {
    const isFrozen = await tryToFreeze(ask, freeze)
    try {
      return { result: await work(), isFrozen }
    } finally {
      if (isFrozen) await thaw(ask)
    }
  })
}

async function tryToFreeze(ask: AskFileSystems, freeze: SnapshotWish['freeze']): Promise<boolean> {
  let mayBeFrozen = false
  try {
    // Fine where nothing is frozen, and says that somebody listens.
    await ask('thaw', listensWithinMs)
    mayBeFrozen = true
    const count = await ask('freeze', freezeTimeoutMs)
    if (count > 0) return true
    throw new DialtoneError('guest-silent', 'its agent knows of no file system that it could hold')
  } catch (cause) {
    // It may have frozen some of them, or do it late.
    if (mayBeFrozen) await ask('thaw', thawTimeoutMs).catch(() => undefined)
    if (freeze === 'if-able') return false
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new DialtoneError('guest-silent', `its guest does not hold its file systems still: ${why}`, { cause })
  }
}

async function thaw(ask: AskFileSystems): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await ask('thaw', thawTimeoutMs)
      return
    } catch (cause) {
      if (attempt < thawAttempts) continue
      throw new DialtoneError(
        'guest-silent',
        'its guest was asked to hold its file systems still and does not let them go on: end that with dialtone vm reset',
        { cause },
      )
    }
  }
}
