/** What asks for a machine to be moved while it runs, as a port: a task of its own for each machine, which is begun and watched. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import type { HostId, TaskId } from '../../model/ids.ts'
import type { RunnableSaga } from '../tasks/saga.ts'

export type MigrateVm = {
  /** What carries such tasks out. */
  readonly sagas: readonly RunnableSaga[]
  /** Why it can't be moved while it runs, wherever to; undefined when it can. */
  obstacle(cluster: ClusterState, vm: VmRecord): string | undefined
  /**
   * `storage`: where disks go that have to be copied.
   * Begins the task `vm.migrate` of this VM, to that host or wherever it fits best; from then on it goes on by itself, through crashes of the
   * controller too. Throws `in-use` while an earlier one is under way.
   */
  begin(
    vm: VmRecord,
    move: { readonly toHostId: HostId | null; readonly storage?: string | undefined; readonly user: string },
  ): Promise<TaskId>
}

/** Kinds of tasks that move a machine. */
export const moveKinds: readonly string[] = ['vm.migrate', 'vm.restart-elsewhere']
