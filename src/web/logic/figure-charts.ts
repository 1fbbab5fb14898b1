/** What the charts of figures show, and what they say in a sentence to who does not see them. */
import type { FigureHistory, FigureNews } from '../../model/api/figure-routes.ts'
import { type FigureName, type FigureSpan, figureNames, figureSpans } from '../../model/figures.ts'

export type ChartLine = { readonly name: FigureName; readonly label: string }
export type ChartKind = 'cpu' | 'memory' | 'disk' | 'network' | 'pause'

export const chartLines: Readonly<Record<ChartKind, readonly ChartLine[]>> = {
  cpu: [{ name: 'cpuPercent', label: 'busy' }],
  memory: [{ name: 'memoryMiB', label: 'in use' }],
  disk: [
    { name: 'diskReadKiBPerSecond', label: 'read' },
    { name: 'diskWriteKiBPerSecond', label: 'written' },
  ],
  network: [
    { name: 'networkInKiBPerSecond', label: 'in' },
    { name: 'networkOutKiBPerSecond', label: 'out' },
  ],
  pause: [{ name: 'pauseMs', label: 'stood still' }],
}

/** A figure with its unit, short enough for an axis. */
export function formatFigure(name: FigureName, figure: number): string {
  if (name === 'cpuPercent') return figure === 100 ? '1 CPU' : `${round(figure / 100)} CPUs`
  if (name === 'pauseMs') return `${round(figure)} ms`
  if (name === 'memoryMiB') return figure < 1024 ? `${Math.round(figure)} MiB` : `${round(figure / 1024)} GiB`
  return figure < 1000 ? `${round(figure)} KiB/s` : `${round(figure / 1024)} MiB/s`
}

/** Between the marks of an axis: bytes are counted in powers of two, anything else in tens. Undefined: as it comes. */
export function axisSteps(kind: ChartKind): number[] | undefined {
  if (kind === 'cpu' || kind === 'pause') return undefined
  return Array.from({ length: 40 }, (_none, power) => 2 ** power)
}

/** `busy 0.1 CPUs, at most 0.6 CPUs at 14:05`, for each line. */
export function describeChart(history: FigureHistory, kind: ChartKind, clock: (atMs: number) => string): string {
  if (history.timesMs.length === 0) return 'Nothing was measured yet.'
  const parts = chartLines[kind].map(({ name, label }) => {
    const column = history.values[name]
    const most = Math.max(...column)
    const at = history.timesMs[column.indexOf(most)] ?? 0
    return `${label} ${formatFigure(name, column.at(-1) ?? 0)}, at most ${formatFigure(name, most)} at ${clock(at)}`
  })
  return `${parts.join('; ')}.`
}

/** The history with what came in since; what is older than its span falls off. Only the finest span grows by what comes in. */
export function withNews(history: FigureHistory, news: readonly FigureNews[]): FigureHistory {
  const last = history.timesMs.at(-1) ?? 0
  const points = news.filter(({ atMs }) => atMs > last)
  const newest = points.at(-1)
  if (newest === undefined) return history
  const begins = newest.atMs - figureSpans[history.span].spanMs
  const dropped = history.timesMs.findIndex((atMs) => atMs > begins)
  const from = dropped === -1 ? history.timesMs.length : dropped
  const values = { ...history.values }
  for (const name of figureNames)
    values[name] = [...history.values[name].slice(from), ...points.map(({ figures }) => figures[name])]
  return { ...history, timesMs: [...history.timesMs.slice(from), ...points.map(({ atMs }) => atMs)], values }
}

/** Times in seconds and lines, with a hole wherever points are missing, so that nothing is drawn where nothing is known. */
export function plotColumns(history: FigureHistory, kind: ChartKind): readonly (readonly (number | null)[])[] {
  const times: number[] = []
  const lines = chartLines[kind].map((): (number | null)[] => [])
  let before: number | undefined
  for (const [index, atMs] of history.timesMs.entries()) {
    if (before !== undefined && atMs - before > longestStep(history.span, before, atMs)) {
      times.push((before + 1) / 1000)
      for (const line of lines) line.push(null)
    }
    times.push(atMs / 1000)
    for (const [place, { name }] of chartLines[kind].entries()) lines[place]?.push(history.values[name][index] ?? null)
    before = atMs
  }
  return [times, ...lines]
}

/** The older part of an hour may be in steps of minutes. */
function longestStep(span: FigureSpan, fromMs: number, toMs: number): number {
  const { stepMs } = figureSpans[span]
  const isCoarse = span === 'hour' && fromMs % figureSpans.week.stepMs === 0 && toMs - fromMs <= figureSpans.week.stepMs
  return isCoarse ? figureSpans.week.stepMs : 3 * stepMs
}

function round(figure: number): string {
  const digits = figure < 1 ? 2 : figure < 10 ? 1 : 0
  return String(Number(figure.toFixed(digits)))
}
