/** How long machines were away in an episode, as their guests saw it: from the moment when one stopped running until it ran again. */
import type { World } from '../world/world.ts'

export type Recoveries = {
  readonly restarts: number
  readonly recoveriesMs: readonly number[]
  readonly fenced: number
}

export function countRecoveries(world: World): () => Recoveries {
  const awaySinceMs = new Map<string, { readonly atMs: number; readonly process: string }>()
  const recoveriesMs: number[] = []
  world.onSeen((seen) => {
    if (seen.kind === 'process-ended' && !awaySinceMs.has(seen.vmId))
      awaySinceMs.set(seen.vmId, { atMs: seen.atMs, process: seen.process })
    if (seen.kind !== 'guest-runs') return
    const away = awaySinceMs.get(seen.vmId)
    if (away === undefined || away.process === seen.process) return
    awaySinceMs.delete(seen.vmId)
    recoveriesMs.push(seen.atMs - away.atMs)
  })
  return () => ({
    restarts: recoveriesMs.length,
    recoveriesMs,
    fenced: world.log.filter(({ event }) => event === 'host.fenced').length,
  })
}
