/**
 * Of the processes that ever ran on a volume, only the newest one writes to it. What counts is what lands: also what a dead process had
 * sent long before, and that arrives after another has begun.
 */
import type { Checker } from '../observation.ts'

export function oneWriterPerVolume(): Checker {
  /** By volume: the process that has it, and those that had it before. */
  const owners = new Map<string, { readonly now: string; readonly before: ReadonlySet<string> }>()
  return (seen) => {
    if (seen.kind === 'guest-runs') {
      for (const volumeId of seen.volumeIds) {
        const owner = owners.get(volumeId)
        if (owner?.before.has(seen.process) === true)
          return `${seen.process} runs again on ${volumeId}, which ${owner.now} has taken over`
        if (owner?.now === seen.process) continue
        owners.set(volumeId, {
          now: seen.process,
          before: new Set([...(owner?.before ?? []), ...(owner === undefined ? [] : [owner.now])]),
        })
      }
    }
    if (seen.kind === 'write-landed') {
      const owner = owners.get(seen.volumeId)
      if (owner !== undefined && owner.now !== seen.process)
        return `a write of ${seen.process} (epoch ${seen.epoch}.${seen.incarnation}) landed on ${seen.volumeId} after ${owner.now} had begun`
    }
    return undefined
  }
}
