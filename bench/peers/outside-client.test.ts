import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createOutsideClient, type OutsideClient } from './outside-client.ts'

const deadlineMs = 10_000

async function serve(port: number, body: () => string): Promise<Server> {
  const server = createServer((_request, response) => response.end(body())).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: { address(): unknown }): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null && 'port' in address && typeof address.port === 'number')
  return address.port
}

function clientOf(port: number): OutsideClient {
  return createOutsideClient({
    ...{ address: '127.0.0.1', port, path: '/', everyMs: 5 },
    isCorrect: ({ status, body }) => status === 200 && body.startsWith('right'),
  })
}

test('the outage of a server that went and came again is between its last and its first correct answer', async () => {
  const server = await serve(0, () => 'right')
  const port = portOf(server)
  using client = clientOf(port)
  await client.untilCorrectAfter(0, { deadlineMs })
  const goneAtMs = performance.now()
  server.close()
  server.closeAllConnections()
  await delay(100)
  const backAtMs = performance.now()
  using _next = disposable(await serve(port, () => 'right again'))
  const first = await client.untilCorrectAfter(backAtMs, { deadlineMs })
  const last = client.lastCorrectBefore(backAtMs)
  assert.equal(first.body, 'right again')
  assert.equal(last?.body, 'right')
  assert.ok(last.askedAtMs <= goneAtMs, 'nobody was there to be asked')
  assert.ok(first.askedAtMs >= backAtMs)
})

test('an answer that is wrong is kept but does not count', async () => {
  let body = 'wrong'
  using server = disposable(await serve(0, () => body))
  using client = clientOf(portOf(server.value))
  while (client.answers.length < 3) await delay(5)
  assert.equal(client.lastCorrectBefore(performance.now()), undefined)
  body = 'right'
  const first = await client.untilCorrectAfter(0, { deadlineMs })
  assert.equal(first.body, 'right')
  assert.ok(client.answers.some((answer) => answer.body === 'wrong' && !answer.isCorrect))
})

test('more may be asked of an answer than to be correct', async () => {
  let count = 0
  using server = disposable(await serve(0, () => `right ${(count += 1)}`))
  using client = clientOf(portOf(server.value))
  const isCorrect = ({ body }: { readonly body: string }) => Number(body.split(' ')[1]) >= 5
  assert.equal((await client.untilCorrectAfter(0, { deadlineMs, isCorrect })).body, 'right 5')
})

test('a server that takes connections and says nothing neither stops the asking nor counts as an answer', async () => {
  let connections = 0
  const server = createTcpServer((socket) => {
    connections += 1
    socket.on('error', () => undefined)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  using _ = disposable(server)
  using client = clientOf(portOf(server))
  await assert.rejects(client.untilCorrectAfter(0, { deadlineMs: 200 }), { code: 'deadline-exceeded' })
  assert.ok(connections > 3, `${connections} connections`)
  assert.equal(client.answers.length, 0)
})

test('after its end it asks no more', async () => {
  let count = 0
  using server = disposable(await serve(0, () => `right ${(count += 1)}`))
  {
    using client = clientOf(portOf(server.value))
    await client.untilCorrectAfter(0, { deadlineMs })
  }
  await delay(20)
  const asked = count
  await delay(50)
  assert.equal(count, asked)
})

function disposable<S extends { close(): unknown }>(value: S): { readonly value: S } & Disposable {
  return { value, [Symbol.dispose]: () => void value.close() }
}
