/** Tables for people: aligned columns that fit the terminal. */
import { styleText } from 'node:util'
import { printableText } from '../model/printable-text.ts'
import { displayWidth, padToWidth, truncateToWidth } from './display-width.ts'

export type TextStyle = 'red' | 'yellow' | 'green' | 'cyan' | 'dim' | 'bold'
/** A style only repeats what the text says: nothing is told by colour alone. */
export type Cell = string | { readonly text: string; readonly style: TextStyle | null }

export type TableLayout = {
  /** Columns of the terminal; null when nothing needs to fit (a pipe or a file). */
  readonly width: number | null
  readonly colour: boolean
}

const gap = 2
const leastWidth = 6

/**
 * The table as lines with a heading, each ending in a newline. On a terminal columns without any text are left out, and the others
 * shrink, the widest first, until a row fits.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
  { width, colour }: TableLayout,
): string {
  const columns = headings.map((heading, index) => {
    const cells = rows.map((row) => row[index] ?? '')
    const texts = cells.map((cell) => printableText(textOf(cell)))
    return { heading, cells, texts, width: Math.max(displayWidth(heading), ...texts.map(displayWidth)) }
  })
  const shown = width === null ? columns : columns.filter(({ texts }) => texts.some((text) => text !== ''))
  const natural = shown.map((column) => column.width)
  const widths = width === null ? natural : shrinkToFit(natural, width)
  const line = (texts: readonly string[], styles: readonly (TextStyle | null)[]) =>
    formatRow(texts, widths, (column) => (colour ? (styles[column] ?? null) : null))
  const heading = line(
    shown.map((column) => column.heading),
    shown.map(() => 'bold'),
  )
  const body = rows.map((_row, index) =>
    line(
      shown.map(({ texts }) => texts[index] ?? ''),
      shown.map(({ cells }) => styleOf(cells[index])),
    ),
  )
  return [heading, ...body].map((text) => `${text}\n`).join('')
}

/** `Label:   value` lines, aligned. Values are not truncated: they are what was asked for. */
export function formatDetails(entries: readonly (readonly [label: string, value: Cell])[], colour: boolean): string {
  const width = Math.max(...entries.map(([label]) => displayWidth(label))) + 1
  return entries
    .map(([label, value]) => {
      const text = styled(printableText(textOf(value)), colour ? styleOf(value) : null)
      return `${padToWidth(`${label}:`, width)}  ${text}`.trimEnd().concat('\n')
    })
    .join('')
}

/** The text in a style of the terminal. Unstyled for null. */
export function styled(text: string, style: TextStyle | null): string {
  return style === null ? text : styleText(style, text, { validateStream: false })
}

function shrinkToFit(natural: readonly number[], available: number): number[] {
  const widths = [...natural]
  const gaps = gap * (widths.length - 1)
  let excess = widths.reduce((sum, width) => sum + width, gaps) - available
  let widest = Math.max(...widths)
  while (excess > 0 && widest > leastWidth) {
    widths[widths.lastIndexOf(widest)] = widest - 1
    excess -= 1
    widest = Math.max(...widths)
  }
  return widths
}

function formatRow(
  texts: readonly string[],
  widths: readonly number[],
  style: (column: number) => TextStyle | null,
): string {
  const cells = widths.map((width, column) => {
    const text = truncateToWidth(texts[column] ?? '', width)
    const isLast = column === widths.length - 1
    const padding = isLast ? '' : ' '.repeat(width - displayWidth(text) + gap)
    return (text === '' ? '' : styled(text, style(column))) + padding
  })
  return cells.join('').trimEnd()
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

function styleOf(cell: Cell | undefined): TextStyle | null {
  return cell === undefined || typeof cell === 'string' ? null : cell.style
}
