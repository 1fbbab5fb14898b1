/** Charts of what a machine, a host or the whole cloud takes, each with a sentence that says the same. */
import { SegmentedControl, SimpleGrid, Text } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import type { FigureHistory } from '../../model/api/figure-routes.ts'
import { type FigureSpan, figureSpanSchema } from '../../model/figures.ts'
import { type FigureTarget, useFigures } from '../cloud/use-figures.ts'
import { type ChartKind, chartLines, describeChart } from '../logic/figure-charts.ts'
import { texts } from '../texts.ts'
import { Card, Nothing } from './parts.tsx'

const Plot = lazy(async () => ({ default: (await import('./plot.tsx')).Plot }))

/** What a scale shows at least, so that a little is seen to be little. */
export type Fullness = { readonly cpus: number; readonly memoryMiB: number }

export function FigureChartsCard({
  target,
  id,
  full,
  kinds = ['cpu', 'memory', 'disk', 'network', 'pause'],
  title = texts.figures.title,
}: {
  readonly target: FigureTarget
  readonly id: string
  readonly full: Fullness
  readonly kinds?: readonly ChartKind[]
  readonly title?: string
}) {
  const [span, setSpan] = useState<FigureSpan>('hour')
  const histories = useFigures(target, span)
  const history = histories?.get(id)
  const aside = (
    <SegmentedControl
      size="xs"
      aria-label={texts.figures.span}
      value={span}
      onChange={(chosen) => setSpan(figureSpanSchema.parse(chosen))}
      data={figureSpanSchema.options.map((value) => ({ value, label: texts.figures.spans[value] }))}
    />
  )
  return (
    <Card title={title} aside={aside}>
      {history === undefined ? (
        <Nothing>{histories === null ? texts.figures.loading : texts.figures.none}</Nothing>
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2, lg: Math.min(3, kinds.length) }} spacing="lg">
          {kinds.map((kind) => (
            <FigureChart key={kind} history={history} kind={kind} full={full} />
          ))}
        </SimpleGrid>
      )}
    </Card>
  )
}

export function FigureChart({
  history,
  kind,
  full,
  height = 150,
}: {
  readonly history: FigureHistory
  readonly kind: ChartKind
  readonly full: Fullness
  readonly height?: number
}) {
  const sentence = describeChart(history, kind, (atMs) => clockOf(atMs, history.span))
  const title = texts.figures.kinds[kind]
  const atLeast = kind === 'cpu' ? 100 * full.cpus : kind === 'memory' ? full.memoryMiB : 0
  return (
    <figure className="figure-chart">
      <figcaption>
        <strong>{title}</strong>
        {chartLines[kind].length > 1 ? <Lines kind={kind} /> : null}
      </figcaption>
      <Suspense fallback={<div className="plot" style={{ height }} />}>
        <Plot history={history} kind={kind} height={height} atLeast={atLeast} label={`${title}: ${sentence}`} />
      </Suspense>
      <Text size="xs" className="quiet">
        {sentence}
      </Text>
    </figure>
  )
}

/** Which line is which: by how it is drawn, not by its colour alone. */
function Lines({ kind }: { readonly kind: ChartKind }) {
  return (
    <span className="chart-lines">
      {chartLines[kind].map(({ name, label }, index) => (
        <span key={name}>
          <span aria-hidden="true" className={index === 0 ? 'chart-line' : 'chart-line chart-line-dashed'} /> {label}
        </span>
      ))}
    </span>
  )
}

function clockOf(atMs: number, span: FigureSpan): string {
  const time = new Date(atMs)
  const hours: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' }
  return span === 'hour'
    ? time.toLocaleTimeString([], hours)
    : time.toLocaleString([], { ...hours, month: 'short', day: 'numeric' })
}
