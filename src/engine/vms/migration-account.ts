/** What a move was like: for the task, the event and the benchmarks. Pure. */
import type { MigrationJournal } from './migration-journal.ts'

export type MoveFigures = {
  readonly totalMs: number | null
  /** Between the two events of QEMU, by the clocks of two hosts: a figure, and nothing is decided by it. */
  readonly pauseMs: number | null
  /** From when it stood still until its probe got a correct answer at its destination, by the same clocks; null without a probe. */
  readonly gapMs: number | null
  readonly sentBytes: number | null
  readonly method: string | null
  readonly lost: string | null
}

export type MoveAccount = { readonly summary: string; readonly figures: MoveFigures; readonly isWhole: boolean }

export function accountOf(
  journal: MigrationJournal,
  { from, to }: { readonly from: string; readonly to: string },
): MoveAccount {
  const figures = figuresOf(journal)
  const summary =
    figures.lost === null
      ? `moved from ${from} to ${to}${describe(figures)}`
      : `is owned by ${to} now, but its memory was lost on its way from ${from}: ${figures.lost}; it is recovered like any machine whose process has died`
  return { summary, figures, isWhole: figures.lost === null }
}

function figuresOf(journal: MigrationJournal): MoveFigures {
  const { departure, beganAtMs, completedAtMs, resumedAtMs, answeredAtMs, lost } = journal
  const stoppedAtMs = departure?.stoppedAtMs
  return {
    totalMs: beganAtMs === undefined || completedAtMs === undefined ? null : Math.round(completedAtMs - beganAtMs),
    pauseMs: spanMs(stoppedAtMs, resumedAtMs),
    gapMs: departure?.wasServing === true ? spanMs(stoppedAtMs, answeredAtMs) : null,
    sentBytes: departure?.transferredBytes ?? null,
    method: departure?.method ?? null,
    lost: lost ?? null,
  }
}

function spanMs(fromMs: number | null | undefined, untilMs: number | null | undefined): number | null {
  const isKnown = fromMs !== null && fromMs !== undefined && untilMs !== null && untilMs !== undefined
  return isKnown ? Math.round((untilMs - fromMs) * 10) / 10 : null
}

function describe({ totalMs, pauseMs, gapMs, sentBytes, method }: MoveFigures): string {
  if (totalMs === null) return ''
  const gap = gapMs === null ? '' : ` and answered its probe again after ${Math.round(gapMs)} ms`
  const pause = pauseMs === null ? '' : `, it stood still for ${Math.round(pauseMs)} ms`
  const sent = sentBytes === null || method === null ? '' : `, ${Math.round(sentBytes / 2 ** 20)} MiB by ${method}`
  return ` in ${totalMs} ms${pause}${gap}${sent}`
}
