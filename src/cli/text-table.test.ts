import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayWidth, truncateToWidth } from './display-width.ts'
import { formatDetails, formatTable } from './text-table.ts'

const plain = { width: null, colour: false }

test('columns are aligned, and no line ends in spaces', () => {
  const table = formatTable(
    ['NAME', 'STATE'],
    [
      ['web', 'running'],
      ['database', ''],
    ],
    plain,
  )
  assert.equal(table, 'NAME      STATE\nweb       running\ndatabase\n')
})

test('wide characters take two columns and combining marks none', () => {
  assert.equal(displayWidth('仮想'), 4)
  assert.equal(displayWidth('e\u0301'), 1)
  assert.equal(displayWidth('🚀'), 2)
  assert.equal(
    formatTable(
      ['N', 'S'],
      [
        ['仮想', 'a'],
        ['abcd', 'b'],
      ],
      plain,
    ),
    'N     S\n仮想  a\nabcd  b\n',
  )
})

test('a text is cut to whole characters with an ellipsis', () => {
  assert.equal(truncateToWidth('abcdef', 4), 'abc…')
  assert.equal(truncateToWidth('仮想機械', 4), '仮…')
  assert.equal(truncateToWidth('abcd', 4), 'abcd')
})

test('on a terminal the widest column gives way until a row fits', () => {
  const rows = [['web', 'running', 'placed there because it has the most free memory of all hosts that fit']]
  const lines = formatTable(['NAME', 'STATE', 'NOTE'], rows, { width: 40, colour: false }).trimEnd().split('\n')
  assert.equal(lines[1], 'web   running  placed there because it …')
  assert.ok(lines.every((line) => displayWidth(line) <= 40))
})

test('on a terminal a column without any text gives its place to the others; in a pipe it stays', () => {
  const rows = [['web', '', 'ok']]
  assert.equal(formatTable(['NAME', 'NOTE', 'STATE'], rows, { width: 80, colour: false }), 'NAME  STATE\nweb   ok\n')
  assert.equal(formatTable(['NAME', 'NOTE', 'STATE'], rows, plain), 'NAME  NOTE  STATE\nweb         ok\n')
})

test('in a pipe nothing is cut', () => {
  const note = 'x'.repeat(500)
  assert.ok(formatTable(['NOTE'], [[note]], plain).includes(note))
})

test('a cell cannot send escapes to the terminal, and colours only repeat the word', () => {
  const rows = [[{ text: 'failed\x1b[0m', style: 'red' as const }]]
  assert.equal(formatTable(['STATE'], rows, plain), 'STATE\nfailed\\x1b[0m\n')
  const coloured = formatTable(['STATE'], rows, { width: 80, colour: true })
  assert.ok(coloured.includes('\x1b[31mfailed\\x1b[0m\x1b[39m'))
})

test('details are aligned by their labels', () => {
  assert.equal(
    formatDetails(
      [
        ['Name', 'web'],
        ['Last recovery', 'none'],
      ],
      false,
    ),
    'Name:           web\nLast recovery:  none\n',
  )
})
