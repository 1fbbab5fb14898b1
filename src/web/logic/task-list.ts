/** Which tasks are worth a look. */
import type { TaskView } from '../../model/api/views.ts'

/** Those that ended well are shown so long, those that failed until nobody could have missed them. */
const shownMs = { good: 5_000, bad: 60_000 }

/** What is under way, and what has just ended, newest first. */
export function tasksInTray(tasks: Iterable<TaskView>, nowMs: number): readonly TaskView[] {
  return newestFirst([...tasks].filter((task) => isInTray(task, nowMs)))
}

export function newestFirst(tasks: readonly TaskView[]): readonly TaskView[] {
  return tasks.toSorted((left, right) => right.createdAt.localeCompare(left.createdAt))
}

function isInTray({ endedAt, state }: TaskView, nowMs: number): boolean {
  if (endedAt === null) return true
  return nowMs - Date.parse(endedAt) < (state === 'failed' ? shownMs.bad : shownMs.good)
}
