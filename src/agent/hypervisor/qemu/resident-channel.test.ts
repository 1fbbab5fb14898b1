import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createResidentChannel, type ResidentChannel } from './resident-channel.ts'

type Guest = { readonly channel: ResidentChannel; listen(): Promise<void> }

/** A guest's port that does with each connection what `serve` says. */
async function makeGuest(t: TestContext, serve: (socket: Socket) => void): Promise<Guest> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-resident-'))
  const path = join(directory, 'resident')
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setEncoding('utf8').on('error', () => undefined)
    serve(socket)
  })
  const channel = createResidentChannel(path)
  t.after(async () => {
    channel.close()
    server.close()
    for (const socket of sockets) socket.destroy()
    await rm(directory, { recursive: true })
  })
  const listen = async () => {
    server.listen(path)
    await once(server, 'listening')
  }
  return { channel, listen }
}

const idOf = (text: string) => /^id=(.*)$/m.exec(text)?.[1]

test('a request waits for the guest to be there, and its answer may come in pieces, among words of others', async (t) => {
  const { channel, listen } = await makeGuest(t, (socket) => {
    socket.on('data', (text: string) => {
      assert.match(text, /^\nid=[0-9a-f-]+\ndo=mount\nserial=vol-data2345\nindex=2\n\n$/)
      socket.write('ok=1\nid=someone-else\n\nnonsense\n\n')
      socket.write(`ok=1\nid=${idOf(text)}\nat=/volu`)
      setTimeout(() => socket.write('mes/2\nmade=1\n\n'), 20)
    })
  })
  const answer = channel.ask({ do: 'mount', serial: 'vol-data2345', index: 2 }, 5000)
  await listen()
  assert.deepEqual(await answer, { at: '/volumes/2', made: '1' })
})

test('requests go one after the other, and a refusal is told with the words of the guest', async (t) => {
  let open = 0
  const { channel, listen } = await makeGuest(t, (socket) => {
    socket.on('data', (text: string) => {
      open += 1
      assert.equal(open, 1)
      setTimeout(() => {
        open -= 1
        socket.write(`id=${idOf(text)}\n${text.includes('restart') ? 'error=there is no hook\n' : 'ok=1\n'}\n`)
      }, 10)
    })
  })
  await listen()
  const requests = [
    channel.ask({ do: 'hello' }, 5000),
    channel.ask({ do: 'restart' }, 5000),
    channel.ask({ do: 'hello' }, 5000),
  ]
  const results = await Promise.allSettled(requests)
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  await assert.rejects(requests[1] ?? Promise.resolve(), { code: 'wrong-state', message: /there is no hook/ })
})

test('a guest that says nothing, or too much, is silent; the next request has a new connection', async (t) => {
  let connections = 0
  const { channel, listen } = await makeGuest(t, (socket) => {
    connections += 1
    const turn = connections
    socket.on('data', (text: string) => {
      if (turn === 2) socket.write('x'.repeat(100_000))
      if (turn === 3) socket.write(`id=${idOf(text)}\nok=1\n\n`)
    })
  })
  await listen()
  await assert.rejects(channel.ask({ do: 'hello' }, 60), { code: 'guest-silent' })
  await assert.rejects(channel.ask({ do: 'hello' }, 200), { code: 'guest-silent' })
  assert.deepEqual(await channel.ask({ do: 'hello' }, 5000), {})
  channel.close()
  await assert.rejects(channel.ask({ do: 'hello' }, 5000), { code: 'guest-silent' })
})

test('a value with a line break never reaches the guest', async (t) => {
  const { channel, listen } = await makeGuest(t, (socket) => {
    socket.on('data', () => assert.fail('the guest got something'))
  })
  await listen()
  await assert.rejects(channel.ask({ do: 'unmount', serial: 'a\ndo=restart' }, 1000), { code: 'invalid-input' })
})
