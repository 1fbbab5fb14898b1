/** A task that another one begins and waits for. It is found again after a crash by what it was begun for. */
import type { Task } from '../../model/cluster.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import type { TaskId } from '../../model/ids.ts'
import { commitAndSee, type Leader } from '../leader.ts'
import type { NewTask, TaskRunner } from '../tasks/task-runner.ts'

const lookAgainMs = 20

/** Begins it unless `isOwn` finds it. Its id, to be waited for. */
export async function beginChild(
  leader: Leader,
  tasks: TaskRunner,
  { isOwn, ...wanted }: NewTask & { isOwn(task: Task): boolean },
): Promise<TaskId> {
  const present = [...leader.index.state().tasks.values()].find((task) => task.kind === wanted.kind && isOwn(task))
  if (present !== undefined) return present.id
  const { task, write } = tasks.prepare(wanted)
  await commitAndSee(leader, { conditions: [], writes: [write] })
  tasks.begin(task.id)
  return task.id
}

/** Throws what it failed with. */
export async function untilChildEnded(
  leader: Leader,
  taskId: TaskId,
  { signal, tell }: { readonly signal: AbortSignal; tell(task: Task): void },
): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const task = leader.index.state().tasks.get(taskId)
    if (task === undefined || task.state === 'succeeded') return
    if (task.endedAt !== null)
      throw new DialtoneError('wrong-state', `${task.kind} of ${task.subject}: ${task.error?.message ?? task.state}`)
    tell(task)
    await leader.clock.sleep(lookAgainMs, signal)
  }
}
