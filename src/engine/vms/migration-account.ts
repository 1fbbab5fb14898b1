/** What a move was like: for the task, the event and the benchmarks. Pure. */
import type { MigrationJournal } from './migration-journal.ts'

export type MoveFigures = {
  readonly totalMs: number | null
  /** Between the two events of QEMU, by the clocks of two hosts: a figure, and nothing is decided by it. */
  readonly pauseMs: number | null
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

function figuresOf({ departure, beganAtMs, completedAtMs, resumedAtMs, lost }: MigrationJournal): MoveFigures {
  const stoppedAtMs = departure?.stoppedAtMs
  const isTimed = stoppedAtMs !== null && stoppedAtMs !== undefined && resumedAtMs !== null && resumedAtMs !== undefined
  return {
    totalMs: beganAtMs === undefined || completedAtMs === undefined ? null : Math.round(completedAtMs - beganAtMs),
    pauseMs: isTimed ? Math.round((resumedAtMs - stoppedAtMs) * 10) / 10 : null,
    sentBytes: departure?.transferredBytes ?? null,
    method: departure?.method ?? null,
    lost: lost ?? null,
  }
}

function describe({ totalMs, pauseMs, sentBytes, method }: MoveFigures): string {
  if (totalMs === null) return ''
  const pause = pauseMs === null ? '' : `, it stood still for ${Math.round(pauseMs)} ms`
  const sent = sentBytes === null || method === null ? '' : `, ${Math.round(sentBytes / 2 ** 20)} MiB by ${method}`
  return ` in ${totalMs} ms${pause}${sent}`
}
