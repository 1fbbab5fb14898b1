import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { ProbeCheck } from '../../model/recovery/probe.ts'
import { checkOnce } from './check-once.ts'
import type { CheckAnswer, RunInGuest } from './service-check.ts'

const address = '127.0.0.1'

test('a port that accepts a connection is correct, one that is closed says so', async (t) => {
  const { port, close } = await serveTcp(t, () => undefined)
  const answer = await look({ kind: 'tcp', port })
  assert.equal(answer.isCorrect, true)
  await close()
  assertWrong(await look({ kind: 'tcp', port }), `connection refused at 127.0.0.1:${port}`)
})

test('a question comes from the address that it is to come from', async (t) => {
  const seen: (string | undefined)[] = []
  const { port } = await serveTcp(t, (socket) => seen.push(socket.remoteAddress))
  const web = await serveHttp(t, (request, response) => {
    seen.push(request.socket.remoteAddress)
    response.end()
  })
  for (const check of [{ kind: 'tcp', port }, http(web)] as const) {
    const answer = await checkOnce({ check, address, askFrom: '127.0.0.9', timeoutMs: 1_000 })
    assert.equal(answer.isCorrect, true)
  }
  assert.deepEqual(seen, ['127.0.0.9', '127.0.0.9'])
})

test('an HTTP answer is correct by its status', async (t) => {
  const port = await serveHttp(t, (request, response) => {
    response.statusCode = request.url === '/health' ? 204 : 500
    response.end()
  })
  assert.equal((await look(http(port, { path: '/health', status: 204 }))).isCorrect, true)
  assertWrong(await look(http(port)), 'status 500 instead of 200')
})

test('a redirect is an answer like any other, and is not followed', async (t) => {
  const asked: (string | undefined)[] = []
  const port = await serveHttp(t, (request, response) => {
    asked.push(request.url)
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  assertWrong(await look(http(port)), 'status 302 instead of 200')
  assert.equal((await look(http(port, { status: 302 }))).isCorrect, true)
  assert.deepEqual(asked, ['/', '/'])
})

test('the body must contain the text within its first 64 KiB, also across packets', async (t) => {
  const port = await serveHttp(t, (request, response) => {
    response.write('.'.repeat(Number(request.url?.slice(1))))
    response.write('al')
    setImmediate(() => response.end('ive'))
  })
  assert.equal((await look(http(port, { path: '/10', body: 'alive' }))).isCorrect, true)
  assert.equal((await look(http(port, { path: `/${65_536 - 5}`, body: 'alive' }))).isCorrect, true)
  assertWrong(await look(http(port, { path: `/${65_536 - 4}`, body: 'alive' })), 'the answer does not contain "alive"')
  assertWrong(await look(http(port, { path: '/10', body: 'dead' })), 'the answer does not contain "dead"')
})

test('an answer without end is judged by what it begins with', async (t) => {
  const port = await serveHttp(t, (_request, response) => {
    const more = setInterval(() => response.write('.'.repeat(10_000)), 1)
    response.on('close', () => clearInterval(more))
  })
  assert.equal((await look(http(port))).isCorrect, true)
  assertWrong(await look(http(port, { body: 'alive' })), 'the answer does not contain "alive"')
})

test('each question is a connection of its own, closed by the time it is answered or soon after', async (t) => {
  const sockets = new Set<Socket>()
  const server = createHttpServer((_request, response) => response.end('ok'))
  server.on('connection', (socket) => sockets.add(socket))
  const port = await listen(t, server)
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await look(http(port, { body: 'ok' }))).isCorrect, true)
  assert.equal(sockets.size, 3)
  await Promise.all([...sockets].filter(({ closed }) => !closed).map((socket) => once(socket, 'close')))
})

test('who answers too late, or not at all, is silent', async (t) => {
  const port = await serveHttp(t, () => undefined)
  const mute = await serveTcp(t, () => undefined)
  for (const at of [port, mute.port]) {
    const answer = await look(http(at), { timeoutMs: 30 })
    assert.deepEqual(answer, {
      isCorrect: false,
      isSilent: true,
      reason: `no answer from 127.0.0.1:${at} within 30 ms`,
    })
  }
})

test('an answer that came in time counts although this process was too busy to read it', async (t) => {
  const port = await serveHttp(t, (_request, response) => response.end('ok'))
  const answer = look(http(port), { timeoutMs: 60 })
  await new Promise((resolve) => setTimeout(resolve, 1))
  const { port: other } = await serveTcp(t, () => undefined)
  const connected = look({ kind: 'tcp', port: other }, { timeoutMs: 20 })
  const untilMs = performance.now() + 80
  while (performance.now() < untilMs);
  assert.equal((await connected).isCorrect, true)
  await answer
})

test('who hangs up, or speaks something else, is wrong', async (t) => {
  const hangsUp = await serveTcp(t, (socket) => socket.destroy())
  const babbles = await serveTcp(t, (socket) => socket.end('SSH-2.0-OpenSSH\r\n'))
  const gone = await look(http(hangsUp.port))
  assertWrong(gone, `127.0.0.1:${hangsUp.port} closed the connection without an answer`)
  const other = await look(http(babbles.port))
  assert.equal(other.isCorrect, false)
})

test('a question that is given up ends at once', async (t) => {
  const { port } = await serveTcp(t, () => undefined)
  const giveUp = new AbortController()
  const answer = look(http(port), { timeoutMs: 60_000, signal: giveUp.signal })
  giveUp.abort()
  assert.equal((await answer).isCorrect, false)
  assert.equal((await look(http(port), { timeoutMs: 60_000, signal: giveUp.signal })).isCorrect, false)
})

test('a program in the guest is correct when it ends with 0, in time', async () => {
  const check: ProbeCheck = { kind: 'exec', command: ['pg_isready', '-q'] }
  const ends =
    (exitCode: number, output = ''): RunInGuest =>
    async () => ({ exitCode, output })
  assert.equal((await look(check, { runInGuest: ends(0) })).isCorrect, true)
  assertWrong(await look(check, { runInGuest: ends(2, 'no response\n') }), 'pg_isready -q ended with 2: no response')
  const fails: RunInGuest = () => Promise.reject(new Error('the guest agent does not answer'))
  assertWrong(await look(check, { runInGuest: fails }), 'pg_isready -q was not run: the guest agent does not answer')
  const hangs: RunInGuest = () => new Promise(() => undefined)
  const late = await look(check, { runInGuest: hangs, timeoutMs: 20 })
  assert.deepEqual(late, { isCorrect: false, isSilent: true, reason: 'no answer from pg_isready -q within 20 ms' })
  assertWrong(await look(check), "pg_isready -q can't be run: nothing reaches into this guest")
})

type LookOptions = { readonly timeoutMs?: number; readonly signal?: AbortSignal; readonly runInGuest?: RunInGuest }

function look(check: ProbeCheck, { timeoutMs = 10_000, ...others }: LookOptions = {}): Promise<CheckAnswer> {
  return checkOnce({ check, address, timeoutMs, ...others })
}

function http(port: number, fields: { readonly path?: string; readonly status?: number; readonly body?: string } = {}) {
  return { kind: 'http', port, path: '/', status: 200, ...fields } satisfies ProbeCheck
}

function assertWrong(answer: CheckAnswer, reason: string): void {
  assert.deepEqual(answer, { isCorrect: false, isSilent: false, reason })
}

async function serveHttp(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createHttpServer(listener)
  t.after(() => server.closeAllConnections())
  return listen(t, server)
}

async function serveTcp(t: TestContext, onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onConnection(socket)
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const port = await listen(t, server)
  const close = () => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  }
  return { port, close }
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, address)
  await once(server, 'listening')
  t.after(() => void server.close())
  const at = server.address()
  assert.ok(typeof at === 'object' && at !== null)
  return at.port
}
