/** Makes a failing episode as small as it can be while the same checker still objects: what is left is what matters. */
import type { EpisodePlan, Step } from './episode-plan.ts'
import type { EpisodeResult } from './run-episode.ts'

export type ShrinkOptions = {
  run(plan: EpisodePlan): Promise<EpisodeResult>
  /** How many episodes may be tried. */
  readonly attempts: number
}

/** The smallest plan that was found, and what it led to. */
export async function shrinkEpisode(
  plan: EpisodePlan,
  first: EpisodeResult,
  { run, attempts }: ShrinkOptions,
): Promise<{ readonly plan: EpisodePlan; readonly result: EpisodeResult }> {
  const wanted = first.violations[0]?.checker
  let best = { plan, result: first }
  let left = attempts
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false
    for (const candidate of smallerPlans(best.plan)) {
      if (left <= 0) return best
      left -= 1
      const result = await run(candidate)
      if (!result.violations.some(({ checker }) => checker === wanted)) continue
      best = { plan: candidate, result }
      isSmaller = true
      break
    }
  }
  return best
}

/** Each without one part, the largest parts first. */
export function* smallerPlans(plan: EpisodePlan): Generator<EpisodePlan> {
  for (const step of plan.steps) yield { ...plan, steps: plan.steps.filter((one) => one !== step) }
  for (const machine of plan.machines) {
    const steps = plan.steps.filter((step) => !mentions(step, machine.name))
    yield { ...plan, steps, machines: plan.machines.filter((one) => one !== machine) }
  }
  const { hosts } = plan.world
  const last = hosts.at(-1)
  if (hosts.length > 2 && last !== undefined) {
    const steps = plan.steps.filter((step) => !mentions(step, last.name))
    yield { ...plan, steps, world: { ...plan.world, hosts: hosts.slice(0, -1) } }
  }
  for (const [index, step] of plan.steps.entries()) {
    const shorter = shorten(step)
    if (shorter !== undefined) yield { ...plan, steps: plan.steps.with(index, shorter) }
  }
  const { network } = plan.world
  if (network.lost + network.doubled + network.slow > 0)
    yield { ...plan, world: { ...plan.world, network: { lost: 0, doubled: 0, slow: 0 } } }
}

const shortestMs = 100

function shorten(step: Step): Step | undefined {
  if (step.do !== 'fault' || !('forMs' in step.fault)) return undefined
  const { forMs } = step.fault
  if (forMs === undefined || forMs < 2 * shortestMs) return undefined
  return { ...step, fault: { ...step.fault, forMs: Math.round(forMs / 2) } }
}

function mentions(step: Step, name: string): boolean {
  return JSON.stringify(step).includes(`"${name}"`)
}
