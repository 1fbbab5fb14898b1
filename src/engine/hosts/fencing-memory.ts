/** What this leader remembers of the fencings that it carries out. It dies with the term; a new leader begins anew. */
import type { FencingProgress } from '../../control/decide-fencing.ts'
import type { HostId, StorageId } from '../../model/ids.ts'

export type OngoingFencing = {
  readonly generation: number
  power:
    | { readonly kind: 'unused' | 'running' }
    | { readonly kind: 'off'; readonly tookMs: number }
    | { readonly kind: 'failed'; readonly atMs: number }
  /** What people were last told of a power fence that failed. */
  toldFailure: string | undefined
  /** When each pill was known to stand, on the leader's clock. */
  readonly pills: Map<StorageId, 'writing' | number>
}

export type FencingMemory = {
  /** From this moment no acknowledgement leaves for the host. */
  begin(hostId: HostId, generation: number): void
  ongoing(hostId: HostId): OngoingFencing | undefined
  end(hostId: HostId): void
  /** As decisions see it: ages instead of moments. */
  progress(hostId: HostId, nowMs: number): FencingProgress | undefined
}

export function createFencingMemory(): FencingMemory {
  const fencings = new Map<HostId, OngoingFencing>()
  return {
    begin: (hostId, generation) =>
      void fencings.set(hostId, { generation, power: { kind: 'unused' }, toldFailure: undefined, pills: new Map() }),
    ongoing: (hostId) => fencings.get(hostId),
    end: (hostId) => void fencings.delete(hostId),
    progress(hostId, nowMs) {
      const fencing = fencings.get(hostId)
      if (fencing === undefined) return undefined
      const { generation, power, pills } = fencing
      return {
        generation,
        power: power.kind === 'failed' ? { kind: 'failed', agoMs: nowMs - power.atMs } : power,
        pills: new Map(
          [...pills].map(([id, pill]) => [
            id,
            pill === 'writing' ? { kind: 'writing' } : { kind: 'standing', stoodMs: nowMs - pill },
          ]),
        ),
      }
    },
  }
}
