import { formatDuration } from '../model/age.ts'
import type { TaskView } from '../model/api/views.ts'
import { printableText } from '../model/printable-text.ts'
import { truncateToWidth } from './display-width.ts'

const barWidth = 20

/** One line for a terminal: bar, percentage, running step, elapsed time; never wider than `width` columns. */
export function formatTaskBar(task: TaskView, elapsedMs: number, width: number): string {
  const filled = Math.round(task.progress * barWidth)
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`
  const percentage = `${Math.floor(task.progress * 100)}%`.padStart(4)
  const tail = `  ${formatDuration(elapsedMs)}`
  const head = `${bar} ${percentage}  `
  const room = Math.max(0, width - 1 - head.length - tail.length)
  return truncateToWidth(`${head}${truncateToWidth(describeStep(task), room)}${tail}`, width - 1)
}

/** One line for a log: what the task does now. Two equal lines mean that nothing worth a line has changed. */
export function formatTaskLine(task: TaskView): string {
  return `${printableText(task.kind)} ${printableText(task.subject)}: ${describeStep(task)}`
}

function describeStep(task: TaskView): string {
  const index = task.steps.findIndex((step) => step.state === 'running')
  const running = task.steps[index]
  const place = running === undefined ? '' : `${index + 1}/${task.steps.length} ${running.name}`
  const state = task.state === 'undoing' ? 'undoing' : task.cancelRequested ? 'cancelling' : ''
  const words = [state, place, task.message].filter((word) => word !== '')
  return printableText(words.length === 0 ? task.state : words.join(', '))
}
