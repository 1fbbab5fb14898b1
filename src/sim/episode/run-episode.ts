/**
 * Runs one episode in two phases. Safety: anything may be broken, and what must never be never is. Liveness: the faults are over, and within
 * a stated time everything that should run runs, every task has ended, and the doctor finds nothing.
 */
import type { FaultKind, FaultWish } from '../faults/fault.ts'
import { usePlainSignals } from '../time/plain-signals.ts'
import { createWorld, type Violation, type World } from '../world/world.ts'
import type { LogLine } from '../world/world-log.ts'
import { countRecoveries } from './count-recoveries.ts'
import type { EpisodePlan, Step } from './episode-plan.ts'
import { judgeRest } from './judge-rest.ts'
import { passTime } from './pass-time.ts'

export type EpisodeResult = {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly faults: readonly FaultKind[]
  /** Starts of machines elsewhere or on the spot, after something failed. */
  readonly restarts: number
  readonly recoveriesMs: readonly number[]
  /** Hosts that were fenced. */
  readonly fenced: number
  /** What passed in the world, and what was skipped because the cluster only repeated itself. */
  readonly simulatedMs: number
  readonly skippedMs: number
  readonly steps: number
  readonly log: readonly LogLine[]
}

/** For every host to come up, and every first machine to run. */
const upWithinMs = 60_000
/** Faults are over: so long until all that should be so is so. */
const atRestWithinMs = 180_000

export async function runEpisode(plan: EpisodePlan): Promise<EpisodeResult> {
  usePlainSignals()
  const world = await createWorld(plan.world)
  const rest: Violation[] = []
  const note = (checker: string, message: string) => rest.push({ checker, atMs: world.nowMs(), message })
  const recoveries = countRecoveries(world)
  let skippedMs = 0
  try {
    await bringUp(world, plan)
    skippedMs = await playSteps(world, plan)
    world.endFaults()
    await judgeRest(world, { withinMs: atRestWithinMs, note })
  } catch (error) {
    note('what-should-run-runs', error instanceof Error ? error.message : String(error))
  }
  return {
    seed: plan.world.seed,
    violations: [...world.violations, ...rest].toSorted((left, right) => left.atMs - right.atMs),
    faults: plan.steps.flatMap((step) => (step.do === 'fault' ? [step.fault.kind] : [])),
    ...recoveries(),
    simulatedMs: world.nowMs(),
    skippedMs: skippedMs + Math.max(0, plan.lastsMs - plan.faultsEndAtMs),
    steps: world.steps(),
    log: world.log,
  }
}

async function bringUp(world: World, { machines }: EpisodePlan): Promise<void> {
  await world.until('all hosts are online', () => areHostsOnline(world), upWithinMs)
  let unanswered = machines.length
  for (const { name, body } of machines)
    void world.request({ call: 'createVm', body: { name, ...body } }).then(() => (unanswered -= 1))
  await world.until('all first machines run', () => unanswered === 0 && doRun(world), upWithinMs)
}

function areHostsOnline(world: World): boolean {
  if (world.parts.controller.engine() === undefined) return false
  return [...world.state().hosts.values()].every(({ status }) => status.state === 'online')
}

/** One for which there is no room waits, and one that would have broken the reserve was refused. */
function doRun(world: World): boolean {
  const isUp = (state: string | undefined) => state === 'running' || state === 'waiting'
  return [...world.state().vms.values()].every(({ status }) => isUp(status?.state))
}

type Moment = { readonly atMs: number; happen(): void }

/** Gives how much was skipped. */
async function playSteps(world: World, { steps }: EpisodePlan): Promise<number> {
  const beganAtMs = world.nowMs()
  let skippedMs = 0
  const passedMs = () => world.nowMs() - beganAtMs + skippedMs
  for (const { atMs, happen } of momentsOf(world, steps, beganAtMs)) {
    skippedMs += await passTime(world, atMs - passedMs())
    happen()
  }
  return skippedMs
}

/** The ends of faults are moments of their own. */
function momentsOf(world: World, steps: readonly Step[], beganAtMs: number): readonly Moment[] {
  const moments = steps.flatMap((step): readonly Moment[] => {
    if (step.do === 'request') return [{ atMs: step.atMs, happen: () => void world.request(step.item) }]
    const { forMs, ...fault } = { forMs: undefined, ...step.fault }
    let end: (() => void) | undefined
    const begin = {
      atMs: step.atMs,
      happen: () => void (end = world.inject(sinceBegin(fault, world.nowMs() - beganAtMs))),
    }
    return forMs === undefined ? [begin] : [begin, { atMs: step.atMs + forMs, happen: () => end?.() }]
  })
  return moments.toSorted((left, right) => left.atMs - right.atMs)
}

/** A state from before the first machines were made knows nothing of them: what becomes of those is for a person to say. */
function sinceBegin(fault: FaultWish, beganAgoMs: number): FaultWish {
  return fault.kind === 'state-goes-back' ? { ...fault, byMs: Math.min(fault.byMs, beganAgoMs) } : fault
}
