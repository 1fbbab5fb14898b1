/** One measured figure: its samples, and how it is printed, as a row for people or as one JSON object a line for programs. */

export type Figure = {
  readonly bench: string
  readonly case: string
  readonly figure: string
  readonly unit: 'ms' | 'MiB' | 'percent'
  readonly samples: readonly number[]
  /** What it was measured under: machine, sizes, settings. */
  readonly conditions: string
  /** What it is compared with, measured in the same run. */
  readonly peer?: { readonly name: string; readonly median: number }
  /** Above 1 is better than the peer. */
  readonly ratio?: number
}

/** The figure by itself, and once for each peer of which there are samples. For figures of which less is better. */
export function figuresWithPeers(figure: Figure, peers: ReadonlyMap<string, readonly number[]>): readonly Figure[] {
  const ours = summarise(figure.samples).median
  const compared = [...peers].map(([name, samples]) => {
    const { median } = summarise(samples)
    return { ...figure, peer: { name, median }, ratio: median / ours }
  })
  return [figure, ...compared]
}

export function figureJson(figure: Figure): string {
  const { samples, ...rest } = figure
  return JSON.stringify({ ...rest, ...summarise(samples) })
}

export function figureRows(figures: readonly Figure[]): string {
  const header = ['bench', 'case', 'figure', 'n', 'min', 'median', 'p99', 'max', 'peer']
  const rows = figures.map((one) => {
    const { n, min, median, p99, max } = summarise(one.samples)
    return [
      one.bench,
      one.case,
      one.figure,
      String(n),
      ...[min, median, p99, max].map((value) => `${format(value)} ${one.unit}`),
      one.peer === undefined
        ? ''
        : `${one.peer.name} ${format(one.peer.median)} ${one.unit}: ${format(one.ratio ?? 0)} ×`,
    ]
  })
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function summarise(samples: readonly number[]): {
  n: number
  min: number
  median: number
  p99: number
  max: number
} {
  const sorted = [...samples].sort((left, right) => left - right)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN
  return { n: sorted.length, min: at(0), median: at(0.5), p99: at(0.99), max: at(1) }
}

function format(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3)
}
