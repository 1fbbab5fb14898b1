/** Plays the scenario of a folder and compares what happened with what is written there. */
import { compareTimelines, type TimelineDifference } from '../src/sim/scenario/compare-timelines.ts'
import { runScenario, type ScenarioRun } from '../src/sim/scenario/run-scenario.ts'
import { formatTimelineLine } from '../src/sim/scenario/timeline.ts'
import { readExpectedTimeline, readScenario } from './read-scenario.ts'

export type Played = ScenarioRun & {
  readonly differences: readonly TimelineDifference[]
  /** No timeline was accepted yet. */
  readonly isNew: boolean
}

export async function playScenario(name: string): Promise<Played> {
  const run = await runScenario(await readScenario(name))
  const expected = await readExpectedTimeline(name)
  return {
    ...run,
    differences: expected === undefined ? [] : compareTimelines(expected, run.timeline),
    isNew: expected === undefined,
  }
}

/** What is wrong, line by line; empty when all is as it is written. */
export function describePlayed(name: string, { problems, differences, isNew }: Played): string {
  const changes = differences.map(({ kind, line }) => `${kind === 'new' ? '+' : '-'} ${formatTimelineLine(line)}`)
  const news = isNew ? ['there is no log.expect yet'] : []
  const accept = `If the timeline is as it should be: npm run scenario -- ${name.slice(0, 4)} --accept`
  return [...problems, ...news, ...changes, ...(isNew || changes.length > 0 ? [accept] : [])].join('\n')
}
