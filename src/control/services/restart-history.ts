/** Which cells of a service were restarted, from the tasks that did it: it outlives every controller. */
import type { ClusterState } from '../../model/cluster-state.ts'
import type { ServiceId } from '../../model/ids.ts'
import { cellRestartKind, cellRestartSchema } from '../../model/service/cell-restart.ts'

export type PastRestart = {
  readonly taskId: string
  readonly at: string
  readonly beganAtMs: number
  readonly endedAtMs: number | null
  readonly cell: string
  readonly components: readonly string[]
  readonly reason: string
  /** Null while it is under way. */
  readonly isCured: boolean | null
}

/** Oldest first. A restart that nobody could judge did not cure. */
export function restartsOf({ tasks }: Pick<ClusterState, 'tasks'>, serviceId: ServiceId): readonly PastRestart[] {
  return [...tasks.values()]
    .flatMap((task): PastRestart[] => {
      if (task.kind !== cellRestartKind) return []
      const parsed = cellRestartSchema.safeParse(task.journal)
      if (!parsed.success || parsed.data.serviceId !== serviceId) return []
      const { levels, level, components, reason, beganAt, isCured, endedAt } = parsed.data
      const over = endedAt ?? task.endedAt
      return [
        {
          taskId: task.id,
          at: beganAt,
          beganAtMs: Date.parse(beganAt),
          endedAtMs: over === null ? null : Date.parse(over),
          cell: levels[level] ?? '',
          components,
          reason,
          isCured: over === null ? null : isCured === true,
        },
      ]
    })
    .toSorted((left, right) => left.beganAtMs - right.beganAtMs)
}
