/** Enters that a VM is to go: nobody wants it to run from then on, and a task deletes it with its disks. */
import { commitAndSee, type Leader, put, unchanged } from '../../engine/leader.ts'
import { keys } from '../../engine/state/keys.ts'
import type { TaskRunner } from '../../engine/tasks/task-runner.ts'
import type { Task } from '../../model/cluster.ts'
import type { VmRecord } from '../../model/cluster-state.ts'
import type { VmSpec } from '../../model/vm.ts'

/** The task that deletes it, the present one where one does already; undefined when the VM was changed meanwhile. */
export async function enterDeletion(
  { leader, tasks }: { readonly leader: Leader; readonly tasks: TaskRunner },
  { spec }: VmRecord,
  user: string,
): Promise<Task | undefined> {
  const key = keys.vm(spec.id)
  const under = [...leader.index.state().tasks.values()].find(
    (task) => task.kind === 'vm.delete' && task.vmId === spec.id && task.endedAt === null,
  )
  if (under !== undefined) return under
  const { task, write } = tasks.prepare({
    kind: 'vm.delete',
    subject: spec.name,
    user,
    vmId: spec.id,
    journal: { vmId: spec.id },
  })
  const next: VmSpec = { ...spec, lifecycle: 'deleting', desired: 'stopped', stopMode: 'kill' }
  const event = leader.events.write({
    kind: 'vm.delete-asked-for',
    subject: spec.name,
    message: `deletion asked for by ${user}`,
    vmId: spec.id,
    user,
  })
  const result = await commitAndSee(leader, {
    conditions: [unchanged(leader, key)],
    writes: [put(key, next), write, event],
  })
  if (result.kind === 'conflict') return undefined
  tasks.begin(task.id)
  return task
}
