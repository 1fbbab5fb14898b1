/** Figures at a time, as rows of numbers and as columns. */
import type { FigureHistory } from '../../model/api/figure-routes.ts'
import {
  addFigures,
  type FigureSpan,
  type Figures,
  figureNames,
  figureSpans,
  noFigures,
  scaleFigures,
} from '../../model/figures.ts'

export type FigurePoint = { readonly atMs: number; readonly figures: Figures }

export function toRow(figures: Figures): readonly number[] {
  return figureNames.map((name) => figures[name])
}

export function fromRow(row: ArrayLike<number>): Figures {
  return Object.assign({ ...noFigures }, Object.fromEntries(figureNames.map((name, index) => [name, row[index] ?? 0])))
}

/** The mean of these, and the longest of their pauses; undefined for none. */
export function meanOf(points: readonly FigurePoint[]): Figures | undefined {
  if (points.length === 0) return undefined
  const sum = points.reduce((total, { figures }) => addFigures(total, figures), noFigures)
  return scaleFigures(sum, 1 / points.length)
}

/** As the API answers it, with no more digits than anybody reads. */
export function asHistory(span: FigureSpan, points: readonly FigurePoint[]): FigureHistory {
  const column = (name: keyof Figures) => points.map(({ figures }) => Math.round(figures[name] * 100) / 100)
  return {
    span,
    stepMs: figureSpans[span].stepMs,
    timesMs: points.map(({ atMs }) => atMs),
    values: {
      cpuPercent: column('cpuPercent'),
      memoryMiB: column('memoryMiB'),
      diskReadKiBPerSecond: column('diskReadKiBPerSecond'),
      diskWriteKiBPerSecond: column('diskWriteKiBPerSecond'),
      networkInKiBPerSecond: column('networkInKiBPerSecond'),
      networkOutKiBPerSecond: column('networkOutKiBPerSecond'),
      pauseMs: column('pauseMs'),
    },
  }
}
