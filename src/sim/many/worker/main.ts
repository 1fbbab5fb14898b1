/** A worker thread of `npm run sim:many`: runs the seeds that it is given, one after the other. */
import { parentPort } from 'node:worker_threads'
import type { EpisodePlan } from '../../episode/episode-plan.ts'
import { makeEpisode, makeQuietEpisode } from '../../episode/make-episode.ts'
import { type EpisodeResult, runEpisode } from '../../episode/run-episode.ts'
import { shrinkEpisode } from '../../episode/shrink-episode.ts'
import { tellShrunk, tellViolations } from '../../episode/tell-failure.ts'
import type { EpisodeTally } from '../tally.ts'

export type Assignment = { readonly seeds: readonly number[]; readonly isQuiet: boolean }
export type Told =
  /** To be told apart from one that goes on for ever. */
  | { readonly kind: 'begins'; readonly seed: number }
  | { readonly kind: 'episode'; readonly tally: EpisodeTally; readonly failure: readonly string[] }
  | { readonly kind: 'done' }

// Errors are values of the product's here, made by the million: nobody reads where they come from.
Error.stackTraceLimit = 0

parentPort?.on('message', (assignment: Assignment) => {
  void work(assignment)
})

async function work({ seeds, isQuiet }: Assignment): Promise<void> {
  for (const seed of seeds) {
    const plan = isQuiet ? makeQuietEpisode(seed) : makeEpisode({ seed })
    const result = await play(plan)
    const { faults, recoveriesMs, restarts, fenced, steps, simulatedMs, skippedMs } = result
    const tally: EpisodeTally = {
      seed,
      faults,
      recoveriesMs,
      restarts,
      fenced,
      steps,
      simulatedMs,
      virtualMs: simulatedMs + skippedMs,
      hosts: plan.world.hosts.length,
      violated: result.violations.map(({ checker }) => checker),
    }
    tell({ kind: 'episode', tally, failure: result.violations.length === 0 ? [] : await describeFailure(plan, result) })
  }
  tell({ kind: 'done' })
}

async function describeFailure(plan: EpisodePlan, result: EpisodeResult): Promise<readonly string[]> {
  const shrunk = await shrinkEpisode(plan, result, { run: play, attempts: attemptsToShrink })
  return [...tellViolations(result), ...tellShrunk(shrunk.plan, shrunk.result)]
}

function play(plan: EpisodePlan): Promise<EpisodeResult> {
  tell({ kind: 'begins', seed: plan.world.seed })
  return runEpisode(plan)
}

const attemptsToShrink = 60

function tell(told: Told): void {
  parentPort?.postMessage(told)
}
