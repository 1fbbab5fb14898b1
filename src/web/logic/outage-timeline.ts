/** Outages as marks on a line of time. */
import type { OutageView } from '../../model/api/ledger-routes.ts'

export type Mark = {
  readonly id: string
  /** Shares of the window. */
  readonly from: number
  readonly width: number
  readonly isDrill: boolean
}

export type Window = { readonly sinceMs: number; readonly untilMs: number }

type Marked = Pick<OutageView, 'id' | 'beganAt' | 'durationMs' | 'soFarMs' | 'drillId'>

/** What lies in the window, cut off at its ends. */
export function marksOn(outages: readonly Marked[], { sinceMs, untilMs }: Window): readonly Mark[] {
  const wholeMs = untilMs - sinceMs
  if (wholeMs <= 0) return []
  return outages.flatMap(({ id, beganAt, durationMs, soFarMs, drillId }) => {
    const beganMs = Date.parse(beganAt)
    const fromMs = Math.max(beganMs, sinceMs)
    const toMs = Math.min(beganMs + (durationMs ?? soFarMs ?? 0), untilMs)
    if (toMs < sinceMs || fromMs > untilMs) return []
    return [
      {
        id,
        from: (fromMs - sinceMs) / wholeMs,
        width: Math.max(0, toMs - fromMs) / wholeMs,
        isDrill: drillId !== null,
      },
    ]
  })
}
