/** Where a command writes: results to standard output, everything about the way there to standard error. */
import { type Cell, formatDetails, formatTable, type TableLayout } from './text-table.ts'

export type Stream = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }

export type Screen = {
  /** Print the API's objects instead of text. */
  readonly json: boolean
  /** Layout of standard output. */
  readonly layout: TableLayout
  /** Layout of standard error; its width is null when it is not a terminal. */
  readonly noteLayout: TableLayout
  /** Time now, in milliseconds since 1970: ages are counted from it. */
  readonly nowMs: () => number
  readonly write: (text: string) => void
  readonly note: (text: string) => void
}

export type ScreenSurroundings = {
  readonly stdout: Stream
  readonly stderr: Stream
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The screen of this process, with colour only on a terminal and where NO_COLOR does not forbid it. */
export function openScreen(json: boolean, { stdout, stderr, environment }: ScreenSurroundings): Screen {
  return {
    json,
    layout: layoutOf(stdout, environment['NO_COLOR']),
    noteLayout: layoutOf(stderr, environment['NO_COLOR']),
    nowMs: Date.now,
    write: (text) => stdout.write(text),
    note: (text) => stderr.write(text),
  }
}

/** One JSON document. */
export function writeJson(screen: Screen, value: unknown): void {
  screen.write(`${JSON.stringify(value, null, 2)}\n`)
}

/** One JSON object on one line: for watches. */
export function writeJsonLine(screen: Screen, value: unknown): void {
  screen.write(`${JSON.stringify(value)}\n`)
}

export type Listing<Item> = {
  /** What is said, on standard error, when there is none. */
  readonly none: string
  readonly columns: readonly (readonly [heading: string, cell: (item: Item) => Cell])[]
}

/** Items as a table. */
export function writeListing<Item>(screen: Screen, items: readonly Item[], listing: Listing<Item>): void {
  if (items.length === 0) return screen.note(`${listing.none}\n`)
  const headings = listing.columns.map(([heading]) => heading)
  const rows = items.map((item) => listing.columns.map(([, cell]) => cell(item)))
  screen.write(formatTable(headings, rows, screen.layout))
}

/** One object as `Label: value` lines. */
export function writeDetails(screen: Screen, entries: readonly (readonly [label: string, value: Cell])[]): void {
  screen.write(formatDetails(entries, screen.layout.colour))
}

function layoutOf(stream: Stream, noColor: string | undefined): TableLayout {
  const isTerminal = stream.isTTY === true
  return {
    width: isTerminal ? (stream.columns ?? 80) : null,
    colour: isTerminal && (noColor === undefined || noColor === ''),
  }
}
