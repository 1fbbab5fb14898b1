import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import type { Contract } from '../model/api/route.ts'
import { DialtoneError } from '../model/dialtone-error.ts'
import type { StreamState } from './follow-events.ts'
import type { Handlers, RequestScope } from './mount-contract.ts'
import { startService } from './test-service.ts'

const contract = {
  watch: {
    method: 'GET',
    path: '/watch',
    role: 'none',
    summary: '',
    query: z.object({ from: z.coerce.number().default(0) }),
    response: z.object({ number: z.number(), text: z.string() }),
    stream: 'events',
  },
} as const satisfies Contract

type Watch = Handlers<typeof contract>['watch']
type Numbered = { readonly id: number; readonly data: { readonly number: number; readonly text: string } }

const numbered = (number: number, text = 'ä\n\n'): Numbered => ({ id: number, data: { number, text } })
const retries = { events: { firstRetryMs: 5, longestRetryMs: 20 } }

const start = (context: TestContext, watch: Watch, options: Parameters<typeof startService>[2] = {}) =>
  startService(context, [contract, { watch }], options)

/** Numbers after the one asked for, up to `last`, a few at a time. */
const counting = (last: number): Watch =>
  async function* (_input, _caller, { after, signal }) {
    for (let number = Number(after ?? 0) + 1; number <= last && !signal.aborted; number += 1) {
      if (number % 10 === 0) await wait(1)
      yield numbered(number)
    }
  }

/** Waits, as a handler must, no longer than its caller does. */
const untilAborted = (signal: AbortSignal) => (signal.aborted ? Promise.resolve() : once(signal, 'abort'))

/** Passes bytes on to `port`, and cuts each connection after some thousand of them, wherever that falls in a frame. */
async function startCuttingProxy(context: TestContext, port: number, cutAfter: (connection: number) => number) {
  let connections = 0
  const proxy = createServer((client) => {
    connections += 1
    let left = cutAfter(connections)
    const server = connect(port, '127.0.0.1')
    client.on('error', () => {}).pipe(server)
    client.on('close', () => server.destroy())
    server.on('error', () => {})
    server.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left <= 0) client.destroySoon()
    })
    server.on('end', () => client.end())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  context.after(() => proxy.close())
  const address = proxy.address()
  assert(typeof address === 'object' && address)
  return { baseUrl: `http://127.0.0.1:${address.port}`, connections: () => connections }
}

test('every event arrives once and in order over connections that are cut anywhere', async (context) => {
  const service = await start(context, counting(500))
  const proxy = await startCuttingProxy(context, service.port, (connection) => 1000 + connection * 377)
  const client = service.client({ baseUrl: proxy.baseUrl, ...retries })
  const states: boolean[] = []
  const numbers: number[] = []
  for await (const { id, data } of client.events('watch', {}, { onState: (state) => states.push(state.connected) })) {
    assert.equal(Number(id), data.number)
    assert.equal(data.text, 'ä\n\n')
    numbers.push(data.number)
  }
  assert.deepEqual(
    numbers,
    Array.from({ length: 500 }, (_, index) => index + 1),
  )
  assert.ok(proxy.connections() > 5, `${proxy.connections()} connections`)
  assert.deepEqual(states.slice(0, 3), [true, false, true])
})

test('a stream begins after the id that is asked for, by header or by query', async (context) => {
  const service = await start(context, counting(3))
  const ids: string[] = []
  for await (const { id } of service.client().events('watch', {}, { after: 1 })) ids.push(id)
  assert.deepEqual(ids, ['2', '3'])
  const text = await (await fetch(`${service.baseUrl}/watch?after=2&from=1`)).text()
  assert.equal(text, ': open\n\nid: 3\ndata: {"number":3,"text":"ä\\n\\n"}\n\nevent: stream-end\ndata: {}\n\n')
})

test('a reader knows at once that the stream is open, however quiet it is', async (context) => {
  const service = await start(context, async function* (_input, _caller, { signal }) {
    await untilAborted(signal)
    yield* []
  })
  const controller = new AbortController()
  const states: StreamState[] = []
  const onState = (state: StreamState) => {
    states.push(state)
    controller.abort()
  }
  assert.deepEqual(
    await Array.fromAsync(service.client().events('watch', {}, { signal: controller.signal, onState })),
    [],
  )
  assert.deepEqual(states, [{ connected: true }])
})

test('a quiet connection that is alive is kept, a dead one is replaced', async (context) => {
  const quiet: Watch = async function* (_input, _caller, { after, signal }) {
    if (after === undefined) yield numbered(1)
    await Promise.race([untilAborted(signal), wait(400, undefined, { ref: false })])
    yield numbered(2)
  }
  const read = async (pulseMs: number) => {
    const service = await start(context, quiet, { pulseMs })
    const client = service.client({ events: { ...retries.events, livenessMs: 200 } })
    const states: StreamState[] = []
    const controller = new AbortController()
    const onState = (state: StreamState) => {
      states.push(state)
      if (states.length === 4) controller.abort()
    }
    const events = await Array.fromAsync(client.events('watch', {}, { onState, signal: controller.signal }))
    return { states, ids: events.map(({ id }) => id) }
  }
  const [alive, dead] = await Promise.all([read(20), read(10_000)])
  assert.deepEqual([alive.states.length, alive.ids], [1, ['1', '2']])
  assert.deepEqual(dead.ids, ['1'])
  const [, lost] = dead.states
  assert.ok(lost && !lost.connected)
  assert.match(lost.error.message, /No sign of life/)
})

test('what a repeat will not cure is thrown, before the stream opens and after', async (context) => {
  const compacted = new DialtoneError('revision-compacted', 'Revision 3 is gone.')
  const before = await start(context, () => {
    throw compacted
  })
  const error = { code: 'revision-compacted', message: 'Revision 3 is gone.' }
  await assert.rejects(Array.fromAsync(before.client().events('watch', {})), error)
  const after = await start(context, async function* () {
    yield numbered(1)
    throw compacted
  })
  await assert.rejects(Array.fromAsync(after.client().events('watch', {})), error)
  await assert.rejects(
    Array.fromAsync(before.client().events('watch', { query: { from: 'x' } })),
    (thrown) => thrown instanceof DialtoneError && thrown.code === 'invalid-input',
  )
})

test('what passes is retried: a controller that does not lead, or is not there yet', async (context) => {
  let calls = 0
  const watch: Watch = async function* () {
    calls += 1
    if (calls < 3) throw new DialtoneError('not-leader', 'Another one leads.')
    yield numbered(1)
  }
  const service = await start(context, watch)
  const events = await Array.fromAsync(service.client(retries).events('watch', {}))
  assert.deepEqual([calls, events.length], [3, 1])
  const states: StreamState[] = []
  const controller = new AbortController()
  const nobody = service.client({ ...retries, baseUrl: 'http://127.0.0.1:1' })
  const onState = (state: StreamState) => {
    states.push(state)
    if (states.length === 3) controller.abort()
  }
  assert.deepEqual(await Array.fromAsync(nobody.events('watch', {}, { onState, signal: controller.signal })), [])
  assert.deepEqual(
    states.map((state) => !state.connected && [state.error.code, state.retryInMs]),
    [
      ['host-unreachable', 5],
      ['host-unreachable', 10],
      ['host-unreachable', 20],
    ],
  )
})

test('a reader who leaves aborts the handler', async (context) => {
  const scopes: RequestScope[] = []
  const service = await start(context, async function* (_input, _caller, scope) {
    scopes.push(scope)
    yield numbered(1)
    await untilAborted(scope.signal)
  })
  for await (const _event of service.client().events('watch', {})) break
  const [scope] = scopes
  assert(scope)
  await untilAborted(scope.signal)
})

test('a slow reader slows the handler down', async (context) => {
  let made = 0
  const text = 'x'.repeat(64 * 1024)
  const service = await start(context, async function* (_input, _caller, { signal }) {
    while (!signal.aborted) yield numbered((made += 1), text)
  })
  const controller = new AbortController()
  for await (const { data } of service.client().events('watch', {}, { signal: controller.signal })) {
    if (data.number === 1) await wait(150)
    const ahead = made - data.number
    assert.ok(ahead < 400, `${ahead} events, 64 KiB each, are under way`)
    if (data.number === 500) controller.abort()
  }
})

test('a server that closes ends its streams at once, and readers come back to the next one', async (context) => {
  const endless: Watch = async function* (_input, _caller, { after, signal }) {
    yield numbered(Number(after ?? 0) + 1)
    await untilAborted(signal)
  }
  const first = await start(context, endless)
  const client = first.client(retries)
  const numbers: number[] = []
  for await (const { data } of client.events('watch', {})) {
    numbers.push(data.number)
    if (data.number === 2) break
    const begin = performance.now()
    await first.app.close()
    assert.ok(performance.now() - begin < 5_000)
    await start(context, endless, { port: first.port })
  }
  assert.deepEqual(numbers, [1, 2])
})
