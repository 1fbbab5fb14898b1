/** An outage as bars, one below the other: how long each part took, and when. */

import { formatDuration } from '../model/age.ts'
import type { OutageParts } from '../model/ledger/outage.ts'

const partNames: readonly (readonly [label: string, part: keyof OutageParts])[] = [
  ['detect', 'detectMs'],
  ['decide', 'decideMs'],
  ['fence', 'fenceMs'],
  ['start', 'startMs'],
  ['serve', 'serveMs'],
]

/** Lines that end in a newline, each `width` columns wide at the most. What no part explains is the last bar. */
export function formatPartBars(parts: OutageParts, totalMs: number, width: number): string {
  const known = partNames.map(([label, part]) => ({ label, ms: parts[part] }))
  const restMs = totalMs - known.reduce((sum, { ms }) => sum + (ms ?? 0), 0)
  const rows = restMs > 0 ? [...known, { label: 'unknown', ms: restMs }] : known
  const room = Math.max(10, width - 24)
  let beforeMs = 0
  const lines = rows.map(({ label, ms }) => {
    const head = `  ${label.padEnd(8)} ${(ms === null ? '-' : formatDuration(ms)).padStart(8)}`
    if (ms === null || totalMs === 0) return `${head}\n`
    const begin = Math.min(room - 1, Math.floor((beforeMs / totalMs) * room))
    beforeMs += ms
    const end = Math.max(begin + 1, Math.round((beforeMs / totalMs) * room))
    return `${head}  ${' '.repeat(begin)}${(label === 'unknown' ? '.' : '#').repeat(end - begin)}\n`
  })
  return lines.join('')
}
