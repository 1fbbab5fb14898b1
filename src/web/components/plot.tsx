/** One chart by uPlot, loaded when the first is shown. It is a picture for who sees it: the sentence beside it says the same. */
import 'uplot/dist/uPlot.min.css'
import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import type { FigureHistory } from '../../model/api/figure-routes.ts'
import type { FigureSpan } from '../../model/figures.ts'
import { axisSteps, type ChartKind, chartLines, formatFigure, plotColumns } from '../logic/figure-charts.ts'

export type PlotProps = {
  readonly history: FigureHistory
  readonly kind: ChartKind
  readonly label: string
  readonly height: number
  /** What the scale shows at least, as the size of what can be full; 0: as much as there is. */
  readonly atLeast: number
}

const lineStyles = ['--busy', '--warn'] as const

export function Plot({ history, kind, label, height, atLeast }: PlotProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(null)
  const columns = plotColumns(history, kind)
  const { span } = history
  const latest = useRef(columns)
  latest.current = columns

  useEffect(() => {
    const element = place.current
    if (element === null) return undefined
    const draw = () => {
      plot.current?.destroy()
      const width = Math.max(120, element.clientWidth)
      const options = optionsOf({ kind, span, width, height, atLeast, colour: coloursOf(element) })
      plot.current = new UPlot(options, asPlotData(latest.current), element)
    }
    draw()
    const sizes = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(120, element.clientWidth), height }))
    sizes.observe(element)
    // Colours are drawn, not styled: another look is another picture.
    const looks = new MutationObserver(draw)
    looks.observe(document.documentElement, { attributes: true, attributeFilter: ['data-mantine-color-scheme'] })
    return () => {
      sizes.disconnect()
      looks.disconnect()
      plot.current?.destroy()
      plot.current = null
    }
  }, [kind, span, height, atLeast])

  useEffect(() => {
    plot.current?.setData(asPlotData(columns))
  }, [columns])

  return <div ref={place} role="img" aria-label={label} className="plot" style={{ height }} />
}

type PlotOptions = Pick<PlotProps, 'kind' | 'height' | 'atLeast'> & {
  readonly span: FigureSpan
  readonly width: number
  colour(name: string): string
}

function optionsOf({ kind, span, width, height, atLeast, colour }: PlotOptions): UPlot.Options {
  const [first] = chartLines[kind]
  const steps = axisSteps(kind)
  const axis: UPlot.Axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: '12px sans-serif',
  }
  return {
    width,
    height,
    cursor: { show: false },
    legend: { show: false },
    padding: [8, 28, 0, 0],
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(atLeast, most * 1.1, 1)] } },
    axes: [
      { ...axis, space: 70, size: 32, values: (_plot, ticks) => ticks.map((tick) => tickTime(tick, span)) },
      {
        ...axis,
        size: 74,
        ...(steps === undefined ? {} : { incrs: steps }),
        space: height < 130 ? 22 : 34,
        values: (_plot, ticks) => ticks.map((tick) => (first === undefined ? '' : formatFigure(first.name, tick))),
      },
    ],
    series: [
      {},
      ...chartLines[kind].map(({ label }, index): UPlot.Series => {
        const stroke = colour(lineStyles[index] ?? '--busy')
        return {
          label,
          stroke,
          width: 1.5,
          points: { show: false },
          ...(index === 0 ? { fill: `${stroke}22` } : { dash: [4, 3] }),
        }
      }),
    ],
  }
}

/** In the reader's zone. */
function tickTime(seconds: number, span: FigureSpan): string {
  const time = new Date(seconds * 1000)
  return span === 'hour'
    ? time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : time.toLocaleDateString([], { month: 'short', day: 'numeric' })
}

function coloursOf(element: Element): (name: string) => string {
  const style = getComputedStyle(element)
  return (name) => style.getPropertyValue(name).trim()
}

function asPlotData([times = [], ...lines]: ReturnType<typeof plotColumns>): UPlot.AlignedData {
  return [times.map((time) => time ?? 0), ...lines.map((line) => [...line])]
}
