/** Every task: its steps, how far it is, how it ended. */
import { Stack } from '@mantine/core'
import { formatDuration } from '../../model/age.ts'
import type { TaskView } from '../../model/api/views.ts'
import { useCloud } from '../cloud/console-context.ts'
import { Age, Foreign, Nothing, PageHead, StateBadge } from '../components/parts.tsx'
import { CancelTask, TaskProgress } from '../components/task-tray.tsx'
import { newestFirst } from '../logic/task-list.ts'
import { texts } from '../texts.ts'

const mostShown = 100

export function TasksPage() {
  const { tasks } = useCloud()
  const shown = newestFirst([...tasks.values()]).slice(0, mostShown)
  return (
    <>
      <PageHead title={texts.pages.tasks} />
      {shown.length === 0 ? <Nothing>{texts.tasks.never}</Nothing> : null}
      <Stack gap="xs">
        {shown.map((task) => (
          <Task key={task.id} task={task} />
        ))}
      </Stack>
    </>
  )
}

function Task({ task }: { readonly task: TaskView }) {
  const tookMs = task.endedAt === null ? null : Date.parse(task.endedAt) - Date.parse(task.createdAt)
  return (
    <details className="task" open={task.endedAt === null}>
      <summary>
        <StateBadge state={task.state} />
        <span className="task-kind">{task.kind}</span>
        <strong className="task-subject">
          <Foreign text={task.subject} />
        </strong>
        <span className="quiet">
          <Age at={task.createdAt} />
          {tookMs === null ? null : ` · ${formatDuration(Math.max(0, tookMs))}`} · {texts.tasks.user}{' '}
          <Foreign text={task.user} />
        </span>
      </summary>
      {task.endedAt === null ? (
        <div className="task-running">
          <TaskProgress task={task} />
          <CancelTask task={task} />
        </div>
      ) : null}
      {task.message === '' ? null : (
        <p>
          <Foreign text={task.message} />
        </p>
      )}
      {task.error === null ? null : (
        <p className="warning-line">
          <Foreign text={task.error.message} /> {texts.error.next} {task.error.next}
        </p>
      )}
      <ol className="steps" aria-label={texts.tasks.steps}>
        {task.steps.map(({ name, state, tookMs: stepMs }) => (
          <li key={name} className={`step step-${state}`}>
            {name} <span className="quiet">{stepMs === null ? state : `${state}, ${formatDuration(stepMs)}`}</span>
          </li>
        ))}
      </ol>
    </details>
  )
}
