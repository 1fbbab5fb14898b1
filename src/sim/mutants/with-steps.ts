/** A plan with other steps. Pure. */
import type { EpisodePlan, Step } from '../episode/episode-plan.ts'
import { type Fault, type FaultWish, faultSchema } from '../faults/fault.ts'

export function withSteps(plan: EpisodePlan, steps: readonly Step[]): EpisodePlan {
  const ends = steps.map((step) => step.atMs + ('fault' in step && 'forMs' in step.fault ? (step.fault.forMs ?? 0) : 0))
  const faultsEndAtMs = Math.max(0, ...ends)
  const sorted = steps.toSorted((left, right) => left.atMs - right.atMs)
  return { ...plan, steps: sorted, faultsEndAtMs, lastsMs: Math.max(faultsEndAtMs, plan.lastsMs) }
}

export function parse(fault: FaultWish): Fault {
  return faultSchema.parse(fault)
}
