import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { connectQmp, type QmpClient, type QmpEvent } from './qmp-client.ts'

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n'

type Request = { readonly execute: string; readonly id: number }

/** Something that speaks as QEMU does; `answer` gets every request but the negotiation. */
async function impostor(t: TestContext, answer: (request: Request, socket: Socket) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-qmp-'))
  const path = join(directory, 'qmp')
  const server = createServer((socket) => {
    socket.write(greeting)
    const lines = createInterface({ input: socket })
    lines.on('error', () => undefined)
    lines.on('line', (line) => {
      const request: Request = JSON.parse(line)
      if (request.execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": ${request.id}}\r\n`)
      else answer(request, socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.after(async () => {
    server.close()
    await rm(directory, { recursive: true })
  })
  return path
}

function using(t: TestContext, client: QmpClient): QmpClient {
  t.after(() => client.close())
  return client
}

test('answers find their calls by id, in whatever order and in whatever pieces they come', async (t) => {
  const waiting: number[] = []
  const path = await impostor(t, ({ id }, socket) => {
    waiting.push(id)
    if (waiting.length < 2) return
    const [first, second] = waiting
    const text = `{"return": {"name": "second"}, "id": ${second}}\r\n{"return": {"name": "first"}, "id": ${first}}\r\n`
    socket.write(text.slice(0, 20))
    setTimeout(() => socket.write(text.slice(20)), 5)
  })
  const client = using(t, await connectQmp(path, { timeoutMs: 1000 }))
  const names = await Promise.all([client.execute('query-name', {}, 1000), client.execute('query-name', {}, 1000)])
  assert.deepEqual(names, [{ name: 'first' }, { name: 'second' }])
})

test("a refusal carries QEMU's sentence and class", async (t) => {
  const path = await impostor(t, ({ id }, socket) => {
    socket.write(`{"error": {"class": "GenericError", "desc": "No such device"}, "id": ${id}}\n`)
  })
  const client = using(t, await connectQmp(path, { timeoutMs: 1000 }))
  const refused = client.execute('device_del', { id: 'x' }, 1000)
  await assert.rejects(refused, {
    code: 'hypervisor-failed',
    message: 'device_del: No such device',
    detail: { class: 'GenericError' },
  })
})

test('silence is a deadline, and the late answer is dropped without harm', async (t) => {
  const path = await impostor(t, ({ execute, id }, socket) => {
    setTimeout(() => socket.write(`{"return": {"late": true}, "id": ${id}}\n`), execute === 'stop' ? 60 : 0)
  })
  const client = using(t, await connectQmp(path, { timeoutMs: 1000 }))
  await assert.rejects(client.execute('stop', {}, 20), { code: 'deadline-exceeded' })
  await new Promise((resolve) => setTimeout(resolve, 80))
  await client.execute('cont', {}, 1000)
})

test('events are told, and all of them before the end of the connection', async (t) => {
  const path = await impostor(t, (_request, socket) => {
    socket.end(
      '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}\r\n',
    )
  })
  const events: QmpEvent[] = []
  const client = using(t, await connectQmp(path, { timeoutMs: 1000, onEvent: (event) => events.push(event) }))
  await assert.rejects(client.execute('quit', {}, 1000), { code: 'hypervisor-failed' })
  assert.match(await client.closed, /closed the connection/)
  assert.deepEqual(events, [{ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' }, atMs: 1000.002 }])
  await assert.rejects(client.execute('query-status', {}, 1000), { code: 'hypervisor-failed' })
})

for (const [fault, text] of [
  ['no JSON', 'hello\n'],
  ['no object', '[1]\n'],
  ['an id that is no number', '{"return": {}, "id": "7"}\n'],
  ['an endless line', 'x'.repeat(9 * 1024 * 1024)],
] as const) {
  test(`malformed input ends the connection with an error: ${fault}`, async (t) => {
    const path = await impostor(t, (_request, socket) => void socket.write(text))
    const client = using(t, await connectQmp(path, { timeoutMs: 1000 }))
    await assert.rejects(client.execute('query-status', {}, 5000), /malformed message|longer than/)
  })
}

test('nobody listening, and somebody who does not greet, are different errors', async (t) => {
  await assert.rejects(connectQmp('/nonexistent/qmp', { timeoutMs: 1000 }), { code: 'hypervisor-failed' })
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-qmp-'))
  const server = createServer(() => undefined)
  await new Promise<void>((resolve) => server.listen(join(directory, 'qmp'), resolve))
  t.after(() => rm(directory, { recursive: true }))
  t.after(() => server.close())
  await assert.rejects(connectQmp(join(directory, 'qmp'), { timeoutMs: 30 }), { code: 'deadline-exceeded' })
})

test('calls in flight are bounded', async (t) => {
  const path = await impostor(t, () => undefined)
  const client = using(t, await connectQmp(path, { timeoutMs: 1000 }))
  const calls = Array.from({ length: 65 }, () => client.execute('query-status', {}, 50))
  await Promise.allSettled(calls)
  await assert.rejects(calls[64] ?? Promise.resolve(), /64 calls wait already/)
})
