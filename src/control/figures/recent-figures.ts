/**
 * The last hour of one host or machine in memory, at the finest step, and the mean of the step after it. Of so many numbers only the
 * newest are kept, in an array that never grows: 720 points of 36 bytes.
 */
import { addFigures, type Figures, figureNames, figureSpans, scaleFigures } from '../../model/figures.ts'
import { type FigurePoint, fromRow, toRow } from './figure-points.ts'

export type RecentFigures = {
  /** Takes a point in; answers with the mean of the step that has ended with it, if one has. Times that go back are left out. */
  add(point: FigurePoint): FigurePoint | undefined
  newest(): FigurePoint | undefined
  /** Those after this time, oldest first. */
  after(atMs: number): readonly FigurePoint[]
}

const { spanMs, stepMs } = figureSpans.hour
const kept = spanMs / stepMs
const columns = figureNames.length

type Step = { readonly beganAtMs: number; sum: Figures; count: number }

export function createRecentFigures(): RecentFigures {
  const times = new Float64Array(kept)
  const rows = new Float32Array(kept * columns)
  let count = 0
  let step: Step | undefined
  const pointAt = (index: number): FigurePoint => {
    const place = index % kept
    return { atMs: times[place] ?? 0, figures: fromRow(rows.subarray(place * columns, (place + 1) * columns)) }
  }
  const newest = () => (count === 0 ? undefined : pointAt(count - 1))

  return {
    newest,
    add(point) {
      if (point.atMs <= (newest()?.atMs ?? 0)) return undefined
      const place = count % kept
      times[place] = point.atMs
      rows.set(toRow(point.figures), place * columns)
      count += 1
      const { ended, next } = intoStep(step, point)
      step = next
      return ended
    },
    after(atMs) {
      const points: FigurePoint[] = []
      for (let index = count - 1; index >= Math.max(0, count - kept); index -= 1) {
        const point = pointAt(index)
        if (point.atMs <= atMs) break
        points.push(point)
      }
      return points.reverse()
    },
  }
}

/** Of a step only means are kept, and of pauses the longest. */
function intoStep(step: Step | undefined, { atMs, figures }: FigurePoint) {
  const beganAtMs = Math.floor(atMs / figureSpans.week.stepMs) * figureSpans.week.stepMs
  if (step !== undefined && step.beganAtMs === beganAtMs) {
    step.sum = addFigures(step.sum, figures)
    step.count += 1
    return { next: step, ended: undefined }
  }
  const ended =
    step === undefined ? undefined : { atMs: step.beganAtMs, figures: scaleFigures(step.sum, 1 / step.count) }
  return { next: { beganAtMs, sum: figures, count: 1 }, ended }
}
