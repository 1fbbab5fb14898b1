/** What the ladder says about its steps: read in a VM's status, in its plan and in the log. */
import type { RungAttempt } from './ladder-history.ts'
import type { RungEstimate } from './ladder-statistics.ts'
import { type FailureCause, type Rung, rungSchema } from './recovery-policy.ts'

const whatToLookAt: Readonly<Record<FailureCause, string>> = {
  'process-died': "the log of its process on its host, and whether the host's memory was used up",
  'guest-panicked': 'its console: the last lines are the panic',
  'guest-hung': 'its console, and the load of its host',
  'wrong-answers': "its service's own log, and whether its probe asks for the right answer",
  'storage-lost': 'the storage of its disks, and the path to it from its host',
  'host-died': 'the hosts: is one online that has room and the storage of its disks?',
  unknown: "the log of its host's agent, and its console",
}

/** `resume-here 2 times, boot once`; empty for no attempt. */
export function describeAttempts(attempts: readonly RungAttempt[]): string {
  return rungSchema.options
    .map((rung) => ({ rung, count: attempts.filter((attempt) => attempt.rung === rung).length }))
    .filter(({ count }) => count > 0)
    .map(({ rung, count }) => `${rung} ${count === 1 ? 'once' : `${count} times`}`)
    .join(', ')
}

export type TryFacts = {
  readonly rung: Rung
  readonly chance: number
  readonly estimate: RungEstimate
  readonly tried: readonly RungAttempt[]
  readonly waitMs: number
  readonly failuresSinceCalm: number
}

/** Why this rung, and why after this wait. */
export function describeTry({ rung, chance, estimate, tried, waitMs, failuresSinceCalm }: TryFacts): string {
  const measured = Math.round(estimate.attempts)
  const basis = measured === 0 ? 'assumed' : `measured in ${measured} attempt${measured === 1 ? '' : 's'}`
  const choice = `${rung} cures it with a chance of ${Math.round(chance * 100)} % in about ${Math.round(estimate.curedMs)} ms (${basis})`
  const before = tried.length === 0 ? '' : `; tried in vain: ${describeAttempts(tried)}`
  const often = failuresSinceCalm > 1 ? `it has failed ${failuresSinceCalm} times in a row` : 'attempts repeat'
  return `${choice}${before}${waitMs === 0 ? '' : `; waits ${waitMs} ms, as ${often}`}`
}

export type EndFacts = {
  readonly cause: FailureCause
  readonly tried: readonly RungAttempt[]
  /** Why the rungs that would have been left could not be tried. */
  readonly obstacles: Partial<Readonly<Record<Rung, string>>>
  /** Set when it is not for want of a rung. */
  readonly limit: string | undefined
}

/** What was tried, what could not be, and what a person should look at. */
export function describeEnd({ cause, tried, obstacles, limit }: EndFacts): string {
  const attempts = tried.length === 0 ? 'nothing could be tried' : `in vain: ${describeAttempts(tried)}`
  const why = Object.entries(obstacles).map(([rung, obstacle]) => `${rung} is not possible: ${obstacle}`)
  const facts = [...(limit === undefined ? [] : [limit]), attempts, ...why].join('; ')
  return `needs a person: ${facts}. Look at ${whatToLookAt[cause]}; then dialtone vm recover.`
}
