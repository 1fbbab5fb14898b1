import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayWidth } from './display-width.ts'
import { makeTaskView } from './stand-in/views.ts'
import { formatTaskBar, formatTaskLine } from './task-bar.ts'

const placing = makeTaskView({
  progress: 0.5,
  message: 'node2 has the most room',
  steps: [
    { name: 'admit', state: 'done', tookMs: 3 },
    { name: 'place', state: 'running', tookMs: null },
  ],
})

test('the bar shows how much is done, the running step and the time', () => {
  const bar = formatTaskBar(placing, 3400, 100)
  assert.equal(bar, '[##########----------]  50%  2/2 place, node2 has the most room  3.4s')
})

test('the bar never wraps: it leaves the last column of the terminal free', () => {
  for (const width of [10, 30, 40, 60]) assert.ok(displayWidth(formatTaskBar(placing, 3400, width)) < width)
})

test('a line for a log says what the task does, and that it is being undone', () => {
  assert.equal(formatTaskLine(placing), 'vm.create web: 2/2 place, node2 has the most room')
  assert.equal(
    formatTaskLine({ ...placing, state: 'undoing' }),
    'vm.create web: undoing, 2/2 place, node2 has the most room',
  )
  assert.equal(formatTaskLine({ ...placing, steps: [], message: '' }), 'vm.create web: running')
})

test('what a task says cannot reach the terminal as an escape', () => {
  assert.ok(!formatTaskBar({ ...placing, message: '\x1b[2J' }, 0, 100).includes('\x1b'))
})
