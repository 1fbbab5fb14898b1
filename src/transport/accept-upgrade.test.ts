import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectSocket, createServer } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import WebSocket from 'ws'
import { z } from 'zod'
import type { Contract } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import { startService } from './test-service.ts'

const contract = {
  console: {
    method: 'GET',
    path: '/console/:vm',
    role: 'operator',
    summary: '',
    params: z.object({ vm: z.string() }),
    stream: 'upgrade',
  },
  plain: { method: 'GET', path: '/plain', role: 'viewer', summary: '', response: z.object({ ok: z.boolean() }) },
} as const satisfies Contract

type Options = Parameters<typeof startService>[2]

function start(context: TestContext, open: () => Duplex, options?: Options) {
  const handlers = {
    console: ({ params }: { params: { vm: string } }) => {
      if (params.vm === 'gone') throw new DialtoneError('not-found', 'There is no VM gone.')
      return open()
    },
    plain: () => ({ ok: true }),
  }
  return startService(context, [contract, handlers], options)
}

const input = { params: { vm: 'web' } }
const tenMegabytes = Buffer.alloc(10 * 1024 * 1024)
for (let index = 0; index < tenMegabytes.length; index += 4) tenMegabytes.writeUInt32LE(index, index)

test('10 MB of raw bytes come back as they went', async (context) => {
  const { client } = await start(context, () => new PassThrough())
  const stream = await client().upgrade('console', input)
  const echoed = readBytes(stream, tenMegabytes.length)
  stream.write(tenMegabytes)
  assert.ok((await echoed).equals(tenMegabytes))
  stream.destroy()
})

test('a stream that ends is over on both sides, with its last bytes delivered', async (context) => {
  const { client } = await start(context, () => new PassThrough())
  const ours = await client().upgrade('console', input)
  ours.end('last words')
  assert.equal((await buffer(ours)).toString(), 'last words')
  const farewell = await start(context, () =>
    Duplex.from({ readable: toReadable(tenMegabytes), writable: new PassThrough() }),
  )
  const theirs = await farewell.client().upgrade('console', input)
  assert.equal((await buffer(theirs)).length, tenMegabytes.length)
})

test('whichever side does not read, the other is held back', async (context) => {
  const sink = new Duplex({ read() {}, write() {} })
  const { client } = await start(context, () => sink)
  const writer = await client().upgrade('console', input)
  let sent = 0
  const chunk = Buffer.alloc(1024 * 1024)
  while (sent < 100 && writer.write(chunk)) sent += 1
  while (sent < 100 && (await Promise.race([once(writer, 'drain').then(() => true), wait(100).then(() => false)]))) {
    writer.write(chunk)
    sent += 1
  }
  assert.ok(sent < 100, `${sent} MiB were taken by a stream that takes nothing`)
  writer.destroy()
  let made = 0
  const source = new Duplex({
    read() {
      made += 1
      this.push(chunk)
    },
    write(_chunk, _encoding, done) {
      done()
    },
  })
  const flood = await start(context, () => source)
  const reader = await flood.client().upgrade('console', input)
  await wait(100)
  assert.ok(made < 100, `${made} MiB were read for a client that reads nothing`)
  reader.destroy()
  await once(source, 'close')
})

test('when one side breaks, the other is told', async (context) => {
  const stream = new PassThrough()
  const { client } = await start(context, () => stream)
  const first = await client().upgrade('console', input)
  first.destroy()
  await once(stream, 'close')
  const failing = new PassThrough()
  const second = await start(context, () => failing)
  const socket = await second.client().upgrade('console', input)
  failing.destroy(new Error('QEMU is gone'))
  socket.on('error', () => {}).resume()
  await once(socket, 'close')
})

test('refusals are answered as for any other route', async (context) => {
  const { client, baseUrl } = await start(context, () => new PassThrough())
  await assert.rejects(client().upgrade('console', { params: { vm: 'gone' } }), {
    code: 'not-found',
    message: /no VM gone/,
  })
  const response = await fetch(`${baseUrl}/console/web`)
  assert.deepEqual(
    [response.status, z.object({ error: z.object({ code: z.string() }) }).parse(await response.json()).error.code],
    [400, 'invalid-input'],
  )
  const identify = () => ({ name: 'guest', role: 'viewer' }) as const
  const strict = await start(context, () => new PassThrough(), { identify })
  await assert.rejects(strict.client().upgrade('console', input), { code: 'forbidden' })
})

test('an offer to upgrade where there is nothing to upgrade is answered as if it had not been made', async (context) => {
  const { port } = await start(context, () => new PassThrough())
  for (const protocol of ['h2c', 'dialtone-raw']) {
    const socket = connectSocket(port, '127.0.0.1')
    socket.write(`GET /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`)
    const [text] = await once(socket.setEncoding('utf8'), 'data')
    assert.match(String(text), /^HTTP\/1\.1 200 OK[^]*\{"ok":true\}/)
    socket.destroy()
  }
})

test('a browser reaches the same stream by WebSocket, in binary frames', async (context) => {
  const { baseUrl } = await start(context, () => new PassThrough())
  const socket = new WebSocket(`${baseUrl.replace('http', 'ws')}/console/web`, { origin: baseUrl })
  await once(socket, 'open')
  const chunk = tenMegabytes.subarray(0, 65536)
  for (let index = 0; index < 16; index += 1) socket.send(chunk)
  let received = 0
  for await (const [data, isBinary] of on(socket)) {
    assert.equal(isBinary, true)
    received += data.length
    if (received === 16 * chunk.length) break
  }
  socket.close()
  await once(socket, 'close')
})

test('a page of another site may not', async (context) => {
  const { baseUrl } = await start(context, () => new PassThrough())
  const socket = new WebSocket(`${baseUrl.replace('http', 'ws')}/console/web`, { origin: 'https://evil.example' })
  const [error] = await once(socket, 'error')
  assert.match(String(error), /403/)
})

test('a server that closes does not wait for joined streams', async (context) => {
  const stream = new PassThrough()
  const { app, client } = await start(context, () => stream)
  const socket = await client().upgrade('console', input)
  socket.on('error', () => {}).resume()
  const begin = performance.now()
  await app.close()
  assert.ok(performance.now() - begin < 5_000)
  if (!socket.destroyed) await once(socket, 'close')
  assert.ok(stream.destroyed)
})

test('bytes that the client sends with its request are not lost', async (context) => {
  const { port } = await start(context, () => new PassThrough())
  const socket = connectSocket(port, '127.0.0.1')
  socket.write('GET /console/web HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: dialtone-raw\r\n\r\nearly')
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) {
    text += String(chunk)
    if (text.endsWith('early')) break
  }
  assert.match(text, /^HTTP\/1\.1 101 /)
})

test('and those that the server sends with its answer neither', async (context) => {
  const server = createServer((socket) => {
    socket.once('data', () =>
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: dialtone-raw\r\n\r\nhello'),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => server.close())
  const address = server.address()
  assert(typeof address === 'object' && address)
  const { client } = await start(context, () => new PassThrough())
  const stream = await client({ baseUrl: `http://127.0.0.1:${address.port}` }).upgrade('console', input)
  assert.equal((await buffer(stream)).toString(), 'hello')
})

async function readBytes(stream: Duplex, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let left = length
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    assert(Buffer.isBuffer(chunk))
    chunks.push(chunk)
    left -= chunk.length
    if (left <= 0) break
  }
  return Buffer.concat(chunks)
}

function toReadable(bytes: Buffer): PassThrough {
  const stream = new PassThrough()
  stream.end(bytes)
  return stream
}

async function* on(socket: WebSocket): AsyncGenerator<readonly [Buffer, boolean]> {
  const queue: (readonly [Buffer, boolean])[] = []
  let wake = () => {}
  socket.on('message', (data, isBinary) => {
    if (Buffer.isBuffer(data)) queue.push([data, isBinary])
    wake()
  })
  for (;;) {
    const next = queue.shift()
    if (next) yield next
    else await new Promise<void>((resolve) => (wake = resolve))
  }
}
