/**
 * Whether a machine got worse by what its owner is trying out: what it did before is what it is measured by. Pure; asked again and again while
 * the change is watched.
 */
import type { VmChange } from '../../model/snapshots/vm-change.ts'
import type { VmState } from '../../model/vm.ts'

export type ChangeFacts = {
  readonly state: VmState
  readonly service: VmChange['before']['service']
  /** Since when its service has not answered correctly without a break; null while it does, or nobody looks. */
  readonly wrongSinceMs: number | null
  readonly crashes: number
  /** What each check ended with the last two times, newest last: null for one that could not be run. */
  readonly checks: readonly { readonly check: string; readonly ended: readonly (number | null)[] }[]
  readonly nowMs: number
}

export type ChangeVerdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'worse'; readonly reason: string }
  /** The time it was to be watched for is over, and it did well. */
  | { readonly kind: 'over' }

/** A restart of the service is part of many upgrades: so long it may be away. */
export const mayBeAwayMs = 5_000
/** One that fails once may have met the service in the middle of its restart. */
const checksMustFail = 2

export function judgeChange(change: VmChange, facts: ChangeFacts): ChangeVerdict {
  const reason = reasonOf(change, facts)
  if (reason !== undefined) return { kind: 'worse', reason }
  return facts.nowMs >= Date.parse(change.watchedUntil) ? { kind: 'over' } : { kind: 'fine' }
}

function reasonOf({ before }: VmChange, facts: ChangeFacts): string | undefined {
  if (facts.state === 'failed') return 'the machine has failed and could not be brought back'
  const newCrashes = facts.crashes - before.crashes
  if (newCrashes > 0) return `it failed ${newCrashes === 1 ? 'once' : `${newCrashes} times`} since the change began`
  const awayMs = facts.wrongSinceMs === null ? 0 : facts.nowMs - facts.wrongSinceMs
  // What did not serve before can't be blamed on the change.
  if (before.service === 'correct' && facts.service !== 'correct' && awayMs >= mayBeAwayMs)
    return `its service has not answered correctly for ${Math.round(awayMs / 1000)} s`
  const failing = facts.checks.find(({ ended }) => {
    const last = ended.slice(-checksMustFail)
    return last.length === checksMustFail && last.every((exitCode) => exitCode !== 0)
  })
  if (failing === undefined) return undefined
  const exitCode = failing.ended.at(-1)
  return `the check '${failing.check}' ${exitCode === null ? 'could not be run' : `ended with ${exitCode}`}`
}
