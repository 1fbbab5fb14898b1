/** When a machine begins to run, no other process of it runs anywhere. One that stands still is no danger until it runs again. */
import type { Checker } from '../observation.ts'

export function fencedBeforeRestarted(): Checker {
  const running = new Map<string, Map<string, string>>()
  return (seen) => {
    if (seen.kind === 'guest-runs') {
      const others = running.get(seen.vmId) ?? new Map<string, string>()
      const [other] = [...others.keys()].filter((process) => process !== seen.process)
      others.set(seen.process, seen.hostName)
      running.set(seen.vmId, others)
      if (other !== undefined) return `${seen.vmId} runs in ${seen.process} while it still runs in ${other}`
    }
    if (seen.kind === 'guest-stands' || seen.kind === 'process-ended') running.get(seen.vmId)?.delete(seen.process)
    return undefined
  }
}
