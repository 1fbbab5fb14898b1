/** Deletes what is left of volumes where they are not any more: looked at again and again, until a host that has the storage did it. */
import { type ClusterState, isAnswering } from '../../model/cluster-state.ts'
import type { DiscardedVolume } from '../../model/migration/disk-copy.ts'
import type { AgentPort } from '../agent-port.ts'
import { commitAndSee, type Leader, unchanged } from '../leader.ts'
import { orderTarget } from '../order-target.ts'
import { keys } from '../state/keys.ts'

const tryAgainMs = 2_000

export type DiscardKeeper = { look(): Promise<void> }

export function createDiscardKeeper({
  leader,
  agents,
}: {
  readonly leader: Leader
  readonly agents: AgentPort
}): DiscardKeeper {
  const busyUntilMs = new Map<string, number>()
  return {
    async look() {
      const state = leader.index.state()
      const { discards } = state
      const nowMs = leader.clock.bootTimeMs()
      for (const key of busyUntilMs.keys()) if (!discards.has(key)) busyUntilMs.delete(key)
      for (const [key, discarded] of discards) {
        if ((busyUntilMs.get(key) ?? 0) > nowMs || isStillUsed(state, discarded)) continue
        busyUntilMs.set(key, Number.POSITIVE_INFINITY)
        // Nobody waits for it: a storage that hangs keeps no other one from being cleared.
        deleteOne(leader, agents, discarded)
          .catch((error: unknown) => leader.logger.warn('volume.not-deleted', { ...discarded, error }))
          .finally(() => busyUntilMs.set(key, leader.clock.bootTimeMs() + tryAgainMs))
      }
    },
  }
}

async function deleteOne(leader: Leader, agents: AgentPort, discarded: DiscardedVolume): Promise<void> {
  const { volumeId, storageId } = discarded
  const key = keys.discard(storageId, volumeId)
  // Whoever takes the place clears it first: what is deleted here is never theirs.
  const condition = unchanged(leader, key)
  const { hosts } = leader.index.state()
  const host = [...hosts.values()].find((one) => isAnswering(one) && one.status.storageIds.includes(storageId))
  const target = host === undefined ? undefined : orderTarget(leader, host.spec.id)
  if (target === undefined) return
  const { authority } = target
  await agents.deleteVolume(target.host, { authority, volumeId, storageId })
  await commitAndSee(leader, { conditions: [condition], writes: [{ kind: 'delete', key }] })
}

/** What a task works with, or a move that goes on may still need, or go back to. */
function isStillUsed({ vms, volumes, tasks }: ClusterState, { volumeId, storageId, taskId }: DiscardedVolume): boolean {
  if (taskId !== null && tasks.get(taskId)?.endedAt === null) return true
  const volume = volumes.get(volumeId)
  if (volume?.storageId === storageId || (volume?.move ?? null) !== null) return true
  return [...vms.values()].some(({ migration }) =>
    migration?.disks.some((copy) => copy.volumeId === volumeId && isEndOf(copy, storageId)),
  )
}

function isEndOf(
  { fromStorageId, toStorageId }: { readonly fromStorageId: string; readonly toStorageId: string },
  storageId: string,
): boolean {
  return fromStorageId === storageId || toStorageId === storageId
}
