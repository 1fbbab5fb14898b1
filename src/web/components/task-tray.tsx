/** The corner that follows you: what is under way, and what has just ended. */
import { Button, CloseButton, Group, Progress } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { TaskView } from '../../model/api/views.ts'
import { useCloud, useConsole } from '../cloud/console-context.ts'
import { useAct } from '../cloud/use-act.ts'
import { useNow } from '../cloud/use-now.ts'
import { tasksInTray } from '../logic/task-list.ts'
import { obstacleOfRole } from '../logic/vm-actions.ts'
import { texts } from '../texts.ts'
import { ActionButton, Foreign, StateBadge } from './parts.tsx'

export function TaskTray() {
  const { tasks } = useCloud()
  const nowMs = useNow()
  const [isOpen, setOpen] = useState(true)
  const shown = tasksInTray(tasks.values(), nowMs)
  if (shown.length === 0) return null
  if (!isOpen)
    return (
      <Button className="tray-button" size="sm" onClick={() => setOpen(true)}>
        {texts.tasks.tray(shown.length)}
      </Button>
    )
  return (
    <aside className="tray" aria-label={texts.pages.tasks}>
      <Group justify="space-between" mb={4}>
        <Link to="/tasks" className="tray-title">
          {texts.tasks.tray(shown.length)}
        </Link>
        <CloseButton size="sm" aria-label={texts.close} onClick={() => setOpen(false)} />
      </Group>
      <ul className="tray-list">
        {shown.slice(0, 4).map((task) => (
          <TrayTask key={task.id} task={task} />
        ))}
      </ul>
    </aside>
  )
}

function TrayTask({ task }: { readonly task: TaskView }) {
  return (
    <li className="tray-task">
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <span className="tray-name">
          {task.kind}{' '}
          <strong>
            <Foreign text={task.subject} />
          </strong>
        </span>
        <StateBadge state={task.state} />
      </Group>
      {task.endedAt === null ? (
        <Group gap="xs" wrap="nowrap">
          <TaskProgress task={task} />
          <CancelTask task={task} />
        </Group>
      ) : null}
      {task.error === null ? null : (
        <div className="tray-error">
          <Foreign text={task.error.message} /> {texts.error.next} {task.error.next}
        </div>
      )}
    </li>
  )
}

export function TaskProgress({ task }: { readonly task: TaskView }) {
  return <Progress className="task-progress" value={task.progress * 100} aria-label={`${task.kind} ${task.subject}`} />
}

export function CancelTask({ task }: { readonly task: TaskView }) {
  const act = useAct()
  const { signedIn } = useConsole()
  const obstacle =
    obstacleOfRole(signedIn.role, 'operator') ?? (task.cancelRequested ? `${task.id} ${texts.tasks.cancelled}.` : null)
  const cancel = () =>
    void act(`${texts.tasks.cancel} ${task.kind}`, (client) => client.call('cancelTask', { params: { task: task.id } }))
  return <ActionButton label={texts.tasks.cancel} obstacle={obstacle} onPress={cancel} size="compact-xs" />
}
