/** An outage's parts as shares of their sum, in the order in which they were. Parts that nobody knows are left out. */
import type { OutageParts } from '../../model/ledger/outage.ts'

export const outagePartNames = ['detectMs', 'decideMs', 'fenceMs', 'startMs', 'serveMs'] as const

export type PartShare = {
  readonly part: (typeof outagePartNames)[number]
  readonly tookMs: number
  readonly share: number
}

export function shareOfParts(parts: OutageParts): readonly PartShare[] {
  const known = outagePartNames.flatMap((part) => (parts[part] === null ? [] : [{ part, tookMs: parts[part] }]))
  const sum = known.reduce((total, { tookMs }) => total + tookMs, 0)
  return known.map(({ part, tookMs }) => ({ part, tookMs, share: sum === 0 ? 0 : tookMs / sum }))
}
