/** Following the cloud over connections that break: with the real client and contract, over a controller that is played. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createConsoleClient } from '../api/console-client.ts'
import { makeCloud, makeVm } from './cloud-state.fixture.ts'
import { type Connection, createCloudStore } from './cloud-store.ts'

const wire = (object: unknown): unknown => JSON.parse(JSON.stringify(object))
const frame = (id: number, data: unknown) => `id: ${id}\ndata: ${JSON.stringify(data)}\n\n`
const change = (id: number, name: string) =>
  frame(id, { noun: 'vm', id: makeVm(name).id, change: 'put', object: wire(makeVm(name)) })

/** What each opening of the stream is answered with; the last one stays open. */
function play(streams: readonly (string | Response)[]) {
  const after: (string | null)[] = []
  const lists: Record<string, unknown> = {
    '/v1/cluster': makeCloud({}).cluster,
    '/v1/vms': { vms: [wire(makeVm('web'))], revision: 1 },
    '/v1/hosts': { hosts: [] },
    '/v1/storages': { storages: [] },
    '/v1/templates': { templates: [] },
    '/v1/tasks': { tasks: [] },
    '/v1/events': { events: [] },
  }
  const play = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const path = String(input).split('?')[0] ?? ''
    if (path !== '/v1/watch') return Response.json(lists[path])
    const answer = streams[after.length]
    after.push(new Headers(init?.headers).get('last-event-id'))
    if (answer instanceof Response) return answer
    const isLast = after.length === streams.length
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(answer ?? ''))
        if (!isLast) return controller.close()
        init?.signal?.addEventListener('abort', () => controller.error(new Error('aborted')))
      },
    })
    return new Response(body)
  }
  return { fetch: play, after }
}

async function follow(
  streams: readonly (string | Response)[],
  isOver: (names: readonly string[], connection: Connection) => boolean,
) {
  const { fetch, after } = play(streams)
  const sleep = () => new Promise<void>((resolve) => void setImmediate(resolve))
  const store = createCloudStore(
    createConsoleClient({ fetch, openSocket: () => assert.fail('nothing opens a socket'), sleep }),
    { nowMs: () => 0, sleep },
  )
  const leaving = new AbortController()
  const seen: string[] = []
  const over = new Promise<void>((resolve) => {
    store.subscribe(() => {
      const { connection, state } = store.view()
      if (seen.at(-1) !== connection.kind) seen.push(connection.kind)
      if (
        isOver(
          [...(state?.vms.values() ?? [])].map(({ name }) => name),
          connection,
        )
      )
        resolve()
    })
  })
  const ended = store.follow(leaving.signal)
  await over
  leaving.abort()
  await ended
  return { seen, after }
}

test('a stream that is cut goes on where it was, and says so meanwhile', async () => {
  const { seen, after } = await follow([change(5, 'db'), change(6, 'cache')], (names) => names.length === 3)
  assert.deepEqual(after, ['1', '5'])
  assert.deepEqual(seen, ['loading', 'live', 'lost', 'live'])
})

test('when its history is gone, everything is loaded anew', async () => {
  const gone = Response.json({ error: { code: 'revision-compacted', message: 'gone' } }, { status: 410 })
  const { after } = await follow([gone, change(7, 'db')], (names) => names.length === 2)
  assert.deepEqual(after, ['1', '1'])
})

test('a session that is over ends the following', async () => {
  const over = Response.json({ error: { code: 'unauthenticated', message: 'sign in' } }, { status: 401 })
  const { seen } = await follow([over], (_names, { kind }) => kind === 'signed-out')
  assert.equal(seen.at(-1), 'signed-out')
})
