/** Shows a task's way on standard error: a bar on a terminal, a line for each step elsewhere, nothing with `--json`. */
import type { TaskView } from '../model/api/views.ts'
import type { Screen } from './screen.ts'
import { formatTaskBar, formatTaskLine } from './task-bar.ts'

const redrawMs = 200
const lostConnection = 'the connection is lost, trying again'
const clearLine = '\r\x1b[K'

export type ShownTask = {
  readonly update: (task: TaskView) => void
  /** The controller does not answer at the moment. */
  readonly lost: () => void
  /** Removes the bar, so that the result stands alone. */
  readonly end: () => void
}

/** Begins to show the task; `end` must be called. */
export function showTask(begun: TaskView, screen: Screen): ShownTask {
  if (screen.json) return { update: () => undefined, lost: () => undefined, end: () => undefined }
  const { width } = screen.noteLayout
  return width === null ? showLines(begun, screen) : showBar(begun, screen, width)
}

function showBar(begun: TaskView, screen: Screen, width: number): ShownTask {
  const startedAtMs = Date.parse(begun.createdAt)
  let task = begun
  const draw = () => {
    const elapsedMs = Math.max(0, screen.nowMs() - startedAtMs)
    screen.note(`${clearLine}${formatTaskBar(task, elapsedMs, width)}`)
  }
  const timer = setInterval(draw, redrawMs)
  draw()
  return {
    update: (changed) => {
      task = changed
      draw()
    },
    lost: () => {
      task = { ...task, message: lostConnection }
      draw()
    },
    end: () => {
      clearInterval(timer)
      screen.note(clearLine)
    },
  }
}

function showLines(begun: TaskView, screen: Screen): ShownTask {
  let lastLine = ''
  const update = (task: TaskView) => {
    const line = formatTaskLine(task)
    if (line !== lastLine) screen.note(`${line}\n`)
    lastLine = line
  }
  update(begun)
  return { update, lost: () => screen.note(`${lostConnection}\n`), end: () => undefined }
}
