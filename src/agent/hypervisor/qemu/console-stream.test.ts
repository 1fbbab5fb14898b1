import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { maximumLagBytes, openConsoleStream } from './console-stream.ts'

async function listen(t: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-console-'))
  const server = createServer(onConnection)
  await new Promise<void>((resolve) => server.listen(join(directory, 'console'), resolve))
  t.after(() => rm(directory, { recursive: true }))
  t.after(() => server.close())
  return join(directory, 'console')
}

test('a reader that lags is cut off after a bound, and all of the output was taken from the guest until then', async (t) => {
  let written = 0
  const path = await listen(t, (socket) => {
    socket.on('error', () => undefined)
    const fill = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(16_384))) written += 16_384
    }
    socket.on('drain', fill)
    fill()
  })
  const stream = await openConsoleStream(path, 1000)
  const [error] = await once(stream, 'error')
  assert.match(error.message, /was cut off, so that the guest does not wait/)
  assert.ok(written >= maximumLagBytes - 1024 * 1024 && stream.destroyed)
})

test('the stream ends when the machine does', async (t) => {
  const path = await listen(t, (socket) => socket.end('last words'))
  const stream = await openConsoleStream(path, 1000)
  let text = ''
  for await (const chunk of stream) text += chunk
  assert.equal(text, 'last words')
})

test('a console that is not there is an error', async () => {
  await assert.rejects(openConsoleStream('/nonexistent/console', 1000), { code: 'hypervisor-failed' })
})
