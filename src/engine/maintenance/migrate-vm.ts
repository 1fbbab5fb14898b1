/** What an evacuation asks of live migration: a task of its own for each machine, which it begins and watches. */
import type { ClusterState, VmRecord } from '../../model/cluster-state.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { HostId, TaskId } from '../../model/ids.ts'

export type MigrateVm = {
  /** Why it can't be moved while it runs; undefined when it can. */
  obstacle(cluster: ClusterState, vm: VmRecord): string | undefined
  /** Begins the task `vm.migrate` of this VM; from then on it goes on by itself, through crashes of the controller too. */
  begin(vm: VmRecord, move: { readonly toHostId: HostId; readonly user: string }): Promise<TaskId>
}

/** Where machines can't be moved while they run. */
export const noLiveMigration: MigrateVm = {
  obstacle: () => 'this cloud has no live migration',
  begin: (vm) => Promise.reject(new DialtoneError('wrong-state', `${vm.spec.name} can't be moved while it runs`)),
}

/** Kinds of tasks that move a machine. */
export const moveKinds: readonly string[] = ['vm.migrate', 'vm.restart-elsewhere']
