/** The table as it stands in the document, between two marks. Pure. */
import { type Cell, states, stateTitles, table } from './table.ts'

const marks = { begin: '<!-- the table begins -->', end: '<!-- the table ends -->' } as const

/** The document with the table of now. Throws when it has no place for one. */
export function withTable(document: string): string {
  const [before, rest] = document.split(marks.begin)
  const [, after] = rest?.split(marks.end) ?? []
  if (before === undefined || after === undefined) throw new Error(`the document lacks ${marks.begin} or ${marks.end}`)
  return `${before}${marks.begin}\n${describeTable()}\n${marks.end}${after}`
}

function describeTable(): string {
  const header = ['operation', ...states.map((state) => stateTitles[state])]
  const rows = Object.entries(table).map(([name, cells]) => [
    `\`${name}\``,
    ...states.map((state) => describe(cells[state])),
  ])
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

function describe(cell: Cell): string {
  switch (cell.kind) {
    case 'works':
      return 'works'
    case 'next-start':
      return 'at its next start'
    case 'refused':
      return `\`${cell.code}\`: ${cell.words}`
  }
}
