/** `dialtone task …` */
import type { Command } from 'commander'
import { formatAge, formatDuration, formatInstant } from '../model/age.ts'
import type { TaskView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { followTask, requireSuccess, taskChanges } from './follow-task.ts'
import { withInterrupt } from './interrupt.ts'
import { type Listing, writeDetails, writeJson, writeJsonLine, writeListing } from './screen.ts'
import { type Session, withSession } from './session.ts'
import { taskStateCell } from './state-cells.ts'
import type { Cell } from './text-table.ts'

/** Adds the verbs of tasks to the command `task`. */
export function addTaskCommands(task: Command): void {
  task
    .command('list')
    .description('list tasks, newest first')
    .action((_options: object, command: Command) => withSession(command, listTasks))
  task
    .command('show')
    .description('show everything about a task')
    .argument('<task>')
    .action((id: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const view = await api.call('getTask', { params: { task: id } })
        if (screen.json) return writeJson(screen, view)
        writeDetails(screen, describeTask(view, screen.nowMs()))
      }),
    )
  task
    .command('watch')
    .description('follow a task until it ends; fails if it does')
    .argument('<task>')
    .action((id: string, _options: object, command: Command) =>
      withSession(command, (session) => watchTask(session, id)),
    )
  task
    .command('cancel')
    .description('ask a task to stop; what it had begun is undone')
    .argument('<task>')
    .action((id: string, _options: object, command: Command) =>
      withSession(command, async ({ api, screen }) => {
        const view = await api.call('cancelTask', { params: { task: id } })
        if (screen.json) return writeJson(screen, view)
        const state = view.endedAt === null ? 'is asked to stop' : `has ended already: ${view.state}`
        screen.write(`Task ${view.id} ${state}.\n`)
      }),
    )
}

async function listTasks({ api, screen }: Session): Promise<void> {
  const answer = await api.call('listTasks', {})
  if (screen.json) return writeJson(screen, answer)
  writeListing(screen, answer.tasks, taskListing(screen.nowMs()))
}

function taskListing(nowMs: number): Listing<TaskView> {
  return {
    none: 'There is no task.',
    columns: [
      ['ID', (task) => task.id],
      ['KIND', (task) => task.kind],
      ['SUBJECT', (task) => task.subject],
      ['STATE', (task) => taskStateCell(task.state)],
      ['DONE', (task) => formatProgress(task)],
      ['AGE', (task) => formatAge(task.createdAt, nowMs)],
      ['TOOK', (task) => formatTook(task)],
      ['USER', (task) => task.user],
      ['MESSAGE', (task) => task.error?.message ?? task.message],
    ],
  }
}

function describeTask(task: TaskView, nowMs: number): [string, Cell][] {
  return [
    ['Id', task.id],
    ['Kind', task.kind],
    ['Subject', task.subject],
    ['State', taskStateCell(task.state)],
    ['Done', formatProgress(task)],
    ['Message', task.message === '' ? '-' : task.message],
    ['Error', task.error === null ? 'none' : `${task.error.message} (${task.error.code})`],
    ['Next', task.error?.next ?? '-'],
    ['Cancelled', task.cancelRequested ? 'asked for' : 'no'],
    ['User', task.user],
    ['Begun', formatInstant(task.createdAt, nowMs)],
    ['Ended', formatInstant(task.endedAt, nowMs)],
    ['Took', formatTook(task)],
    ...task.steps.map((step, index): [string, Cell] => {
      const took = step.tookMs === null ? '' : `, ${formatDuration(step.tookMs)}`
      return [`Step ${index + 1}`, `${step.name}: ${step.state}${took}`]
    }),
  ]
}

/** With `--json` one object for each change, the last one ended. */
async function watchTask(session: Session, id: string): Promise<void> {
  const { api, screen } = session
  const begun = await api.call('getTask', { params: { task: id } })
  if (!screen.json) {
    const task = await followTask(session, begun)
    return screen.write(`${printableText(`${task.kind} of ${task.subject}`)} has succeeded.\n`)
  }
  let task = begun
  if (task.endedAt !== null) writeJsonLine(screen, task)
  await withInterrupt('', async (signal) => {
    const watch = { signal, onLost: () => undefined }
    for await (task of taskChanges(api, begun, watch)) writeJsonLine(screen, task)
  })
  requireSuccess(task)
}

function formatProgress(task: TaskView): string {
  return `${Math.floor(task.progress * 100)}%`
}

function formatTook({ createdAt, endedAt }: TaskView): string {
  return endedAt === null ? '-' : formatDuration(Math.max(0, Date.parse(endedAt) - Date.parse(createdAt)))
}
