import assert from 'node:assert/strict'
import { Duplex, PassThrough } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { attachConsole } from './vm-console.ts'

function makeTerminal() {
  const modes: boolean[] = []
  const setRawMode = (isRaw: boolean) => modes.push(isRaw)
  return { input: Object.assign(new PassThrough(), { isTTY: true, setRawMode }), modes }
}

/** A line whose other end the test holds. */
function makeLine() {
  const received: Buffer[] = []
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      received.push(chunk)
      done()
    },
  })
  return { stream, received: () => Buffer.concat(received).toString() }
}

test('Ctrl-] leaves, what was typed before it arrives, what came after does not, and the terminal is as before', async () => {
  const { input, modes } = makeTerminal()
  const { stream, received } = makeLine()
  const notes: string[] = []
  const attached = attachConsole({
    stream,
    name: 'web',
    input,
    output: new PassThrough(),
    lingerMs: 1000,
    note: (text) => notes.push(text),
  })
  input.write('ls\x03\r')
  await sleep(5)
  input.write('exit\x1dnever')
  await attached
  assert.equal(received(), 'ls\x03\rexit')
  assert.deepEqual(modes, [true, false])
  assert.match(notes.join(''), /Ctrl-\] leaves it/)
})

test('when the line breaks the terminal is restored and the error is told', async () => {
  const { input, modes } = makeTerminal()
  const { stream } = makeLine()
  const attached = attachConsole({
    stream,
    name: 'web',
    input,
    output: new PassThrough(),
    lingerMs: 1000,
    note: () => undefined,
  })
  setImmediate(() => stream.destroy(new Error('The line broke.')))
  await assert.rejects(attached, /The line broke/)
  assert.deepEqual(modes, [true, false])
})

test('when the machine closes the line the command ends', async () => {
  const { input, modes } = makeTerminal()
  const { stream } = makeLine()
  const output = new PassThrough()
  const attached = attachConsole({ stream, name: 'web', input, output, lingerMs: 1000, note: () => undefined })
  stream.push('bye\r\n')
  stream.push(null)
  await attached
  assert.equal(output.read()?.toString(), 'bye\r\n')
  assert.deepEqual(modes, [true, false])
})

test('piped input may contain Ctrl-], and the answer that comes after its end is still shown', async () => {
  const { stream, received } = makeLine()
  const input = new PassThrough()
  const output = new PassThrough()
  const attached = attachConsole({ stream, name: 'web', input, output, lingerMs: 60, note: () => undefined })
  input.end('a\x1db')
  await sleep(40)
  stream.push('answer')
  await attached
  assert.equal(received(), 'a\x1db')
  assert.equal(output.read()?.toString(), 'answer')
})
