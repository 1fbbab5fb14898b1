import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import type { Contract } from '../model/api/route.ts'
import { createContractClient } from './contract-client.ts'
import type { Handlers } from './mount-contract.ts'
import { startService } from './test-service.ts'

const contract = {
  get: {
    method: 'GET',
    path: '/things/:name',
    role: 'none',
    summary: '',
    params: z.object({ name: z.string() }),
    query: z.object({ tag: z.array(z.string()).optional(), after: z.string().optional() }),
    response: z.object({ name: z.string(), tag: z.array(z.string()).optional(), after: z.string().optional() }),
  },
  slow: { method: 'POST', path: '/slow', role: 'none', summary: '', response: z.object({}) },
  post: { method: 'POST', path: '/post', role: 'none', summary: '', response: z.object({}) },
  silent: { method: 'DELETE', path: '/silent', role: 'none', summary: '' },
  file: { method: 'GET', path: '/file', role: 'none', summary: '', stream: 'bytes' },
  broken: { method: 'GET', path: '/broken', role: 'none', summary: '', stream: 'bytes' },
} as const satisfies Contract

const megabyte = Buffer.alloc(1024 * 1024, 7)

function* thenFail(): Generator<Buffer> {
  yield megabyte
  throw new Error('the disk failed')
}

const handlers: Handlers<typeof contract> = {
  get: ({ params, query }) => ({ name: params.name, ...query }),
  slow: async (_input, _caller, { signal }) => {
    await wait(5000, undefined, { signal }).catch(() => {})
    return {}
  },
  post: () => ({}),
  silent: () => {},
  file: () => ({ size: 3 * megabyte.length, stream: Readable.from([megabyte, megabyte, megabyte]) }),
  broken: () => ({ stream: Readable.from(thenFail()) }),
}

const start = (context: TestContext) => startService(context, [contract, handlers])

/** A server of bare sockets; `onConnection` gets each with its number. */
async function startSockets(
  context: TestContext,
  onConnection: (socket: Socket, number: number) => void,
): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket, sockets.size)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert(typeof address === 'object' && address)
  return `http://127.0.0.1:${address.port}`
}

function clientOf(context: TestContext, baseUrl: string, options = {}) {
  const client = createContractClient(contract, { baseUrl, ...options })
  context.after(() => client.close())
  return client
}

const emptyAnswer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
const namedAnswer = emptyAnswer.replace('2\r\n\r\n{}', '12\r\n\r\n{"name":"x"}')

test('parameters and query arrive as they were given, whatever characters they have', async (context) => {
  const client = (await start(context)).client()
  const query = { tag: ['ü&', 'b=c'], after: undefined }
  assert.deepEqual(await client.call('get', { params: { name: 'a/b ?#%' }, query }), {
    name: 'a/b ?#%',
    tag: ['ü&', 'b=c'],
  })
  assert.deepEqual(await client.call('get', { params: { name: 'x' }, query: { after: '7' } }), {
    name: 'x',
    after: '7',
  })
  assert.equal(await client.call('silent', {}), undefined)
})

test('calls one after the other share one connection', async (context) => {
  const service = await start(context)
  const client = service.client()
  for (let index = 0; index < 20; index += 1) await client.call('post', {})
  assert.equal(service.connections(), 1)
})

test('calls at the same time are bounded in connections, and all are answered', async (context) => {
  const service = await start(context)
  const client = service.client({ maximumConnections: 3 })
  await Promise.all(Array.from({ length: 50 }, () => client.call('post', {})))
  assert.equal(service.connections(), 3)
})

test('a call ends at its deadline and takes its connection with it; the next one connects anew', async (context) => {
  const service = await start(context)
  const client = service.client()
  await client.call('post', {})
  const begin = performance.now()
  await assert.rejects(client.call('slow', {}, { timeoutMs: 60 }), {
    code: 'deadline-exceeded',
    message: /^POST \/slow at 127\.0\.0\.1:\d+ was not answered within 60 ms\.$/,
  })
  assert.ok(performance.now() - begin < 10_000)
  await client.call('post', {})
  assert.equal(service.connections(), 2)
})

test('a call that waits for a free connection has its deadline too', async (context) => {
  const client = (await start(context)).client({ maximumConnections: 1 })
  const first = assert.rejects(client.call('slow', {}, { timeoutMs: 200 }), { code: 'deadline-exceeded' })
  await assert.rejects(client.call('post', {}, { timeoutMs: 50 }), { code: 'deadline-exceeded' })
  await first
})

test('a caller can give up', async (context) => {
  const client = (await start(context)).client()
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 20)
  await assert.rejects(client.call('slow', {}, { signal: controller.signal }), { code: 'cancelled' })
  await assert.rejects(client.call('post', {}, { signal: controller.signal }), { code: 'cancelled' })
})

test('a server that is not there, or does not speak, is unreachable', async (context) => {
  const refused = clientOf(context, 'http://127.0.0.1:1')
  await assert.rejects(refused.call('post', {}), { code: 'host-unreachable', message: /refused/ })
  const resetting = clientOf(context, await startSockets(context, (socket) => socket.resetAndDestroy()))
  await assert.rejects(resetting.call('post', {}), { code: 'host-unreachable' })
  const foreign = await startSockets(context, (socket) =>
    socket.end('HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops'),
  )
  await assert.rejects(clientOf(context, foreign).call('post', {}), {
    code: 'host-unreachable',
    message: /HTTP status 502/,
  })
})

test('a host that does not answer the connection is given up after the connect time-out', async (context) => {
  // TLS that is never answered stands for a SYN that is never answered: both are the time until a connection is ready.
  const mute = (await startSockets(context, () => {})).replace('http', 'https')
  const client = clientOf(context, mute, { connectTimeoutMs: 60, tls: { ca: '' } })
  const begin = performance.now()
  await assert.rejects(client.call('post', {}), { code: 'host-unreachable', message: /did not answer within 60 ms/ })
  assert.ok(performance.now() - begin < 10_000)
})

/** Answers the first request of the first connection, and resets it with the second one; further connections are good. */
async function startStale(context: TestContext): Promise<{ baseUrl: string; requests: () => number }> {
  let requests = 0
  const baseUrl = await startSockets(context, (socket, number) => {
    let here = 0
    socket.on('data', () => {
      requests += 1
      here += 1
      if (number === 1 && here === 2) socket.resetAndDestroy()
      else socket.write(namedAnswer)
    })
  })
  return { baseUrl, requests: () => requests }
}

test('a kept connection that was reset is replaced once for GET, PUT and DELETE', async (context) => {
  const { baseUrl, requests } = await startStale(context)
  const client = clientOf(context, baseUrl)
  await client.call('get', { params: { name: 'x' } })
  assert.deepEqual(await client.call('get', { params: { name: 'x' } }), { name: 'x' })
  assert.equal(requests(), 3)
})

test('but a POST may have been carried out, and is not repeated', async (context) => {
  const { baseUrl, requests } = await startStale(context)
  const client = clientOf(context, baseUrl)
  await client.call('post', {})
  await assert.rejects(client.call('post', {}), { code: 'host-unreachable', message: /reset/ })
  assert.equal(requests(), 2)
  await client.call('post', {})
})

test('an answer in another form than the table’s is told with the field', async (context) => {
  const baseUrl = await startSockets(context, (socket) => socket.on('data', () => socket.write(emptyAnswer)))
  await assert.rejects(clientOf(context, baseUrl).call('get', { params: { name: 'x' } }), {
    code: 'internal',
    message: /name:/,
  })
})

test('a file arrives whole with its size, and one that breaks off is an error', async (context) => {
  const client = (await start(context)).client()
  const { size, stream } = await client.download('file', {})
  assert.equal(size, 3 * megabyte.length)
  assert.deepEqual(await buffer(stream), Buffer.concat([megabyte, megabyte, megabyte]))
  const broken = await client.download('broken', {})
  await assert.rejects(buffer(broken.stream))
})

test('a closed client lets nothing hang', async (context) => {
  const client = (await start(context)).client()
  const call = assert.rejects(client.call('slow', {}), { code: 'host-unreachable' })
  await wait(30)
  await client.close()
  await call
})
