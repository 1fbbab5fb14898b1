import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { eachLine } from './each-line.ts'

test('each line is taken, and a stream that breaks is told to its own listeners only', async () => {
  const stream = new PassThrough()
  const lines: string[] = []
  const errors: string[] = []
  stream.on('error', ({ message }) => errors.push(message))
  eachLine(stream, (line) => lines.push(line))
  stream.write('one\ntwo\nthr')
  await turn()
  stream.destroy(new Error('reset by peer'))
  await turn()
  assert.deepEqual([lines, errors], [['one', 'two'], ['reset by peer']])
})
