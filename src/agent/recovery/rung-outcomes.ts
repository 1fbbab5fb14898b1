/** How well each rung of the ladder has worked on this host: learned from every recovery, kept over restarts of the agent. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from '../../model/logger.ts'
import {
  emptyStatistics,
  type LadderStatistics,
  ladderStatisticsSchema,
  noteOutcome,
  type RungOutcome,
} from '../../model/recovery/ladder-statistics.ts'

export type RungOutcomes = {
  statistics(): LadderStatistics
  note(outcome: RungOutcome): void
}

/** A damaged or missing file counts as nothing learned yet. */
export async function openRungOutcomes(path: string, logger: Logger): Promise<RungOutcomes> {
  let statistics = await readStatistics(path)
  let writing = Promise.resolve()
  return {
    statistics: () => statistics,
    note(outcome) {
      statistics = noteOutcome(statistics, outcome)
      const text = JSON.stringify(statistics)
      writing = writing
        .then(() => writeStatistics(path, text))
        .catch((error: unknown) => logger.warn('ladder.outcome-not-kept', { error }))
    },
  }
}

async function readStatistics(path: string): Promise<LadderStatistics> {
  const text = await readFile(path, 'utf8').catch(() => '')
  try {
    return ladderStatisticsSchema.parse(JSON.parse(text))
  } catch {
    return emptyStatistics
  }
}

async function writeStatistics(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}
