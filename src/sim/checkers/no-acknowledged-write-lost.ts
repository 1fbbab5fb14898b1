/** What a guest has told somebody is safe, the next guest on that disk finds, unless its owner declared that it may be lost. */
import type { Checker } from '../observation.ts'

export function noAcknowledgedWriteLost(): Checker {
  const acknowledged = new Map<string, number>()
  return (seen) => {
    if (seen.kind === 'write-acknowledged') {
      acknowledged.set(seen.volumeId, Math.max(seen.stamp, acknowledged.get(seen.volumeId) ?? 0))
    }
    if (seen.kind === 'disk-read') {
      const promised = acknowledged.get(seen.volumeId) ?? 0
      if (seen.stamp < promised)
        return `${seen.process} finds stamp ${seen.stamp} on ${seen.volumeId}, where ${promised} had been acknowledged`
    }
    return undefined
  }
}
