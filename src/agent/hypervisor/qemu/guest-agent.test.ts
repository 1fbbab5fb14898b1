import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runInGuest } from './guest-agent.ts'

type Request = { readonly execute: string; readonly arguments: Readonly<Record<string, unknown>> }

/** An agent whose answers are made by `answer`; undefined: none. Returns the path of its port. */
async function makeAgent(t: TestContext, answer: (request: Request) => unknown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'dialtone-agent-'))
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      for (const line of bytes.toString('latin1').split('\n').filter(Boolean)) {
        const request: Request = JSON.parse(line.replace('\u00ff', ''))
        // As the real one does, it complains about the delimiter before it answers.
        if (request.execute === 'guest-sync-delimited') {
          socket.write('{"return": 4711}\n{"error": {"class": "GenericError", "desc": "JSON parse error, stray"}}\n')
          socket.write(Buffer.of(0xff))
        }
        const result =
          request.execute === 'guest-sync-delimited' ? { return: request.arguments['id'] } : answer(request)
        if (result !== undefined) socket.write(`${JSON.stringify(result)}\n`)
      }
    })
  })
  const path = join(directory, 'agent')
  server.listen(path)
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await rm(directory, { recursive: true })
  })
  return path
}

test('a program runs in the guest to its end, and what it said on both streams is told', async (t) => {
  let asked = 0
  const path = await makeAgent(t, ({ execute, arguments: args }) => {
    if (execute === 'guest-exec') {
      assert.deepEqual(args, { path: '/bin/sh', arg: ['-c', 'exit 3'], 'capture-output': true })
      return { return: { pid: 7 } }
    }
    asked += 1
    if (asked < 3) return { return: { exited: false } }
    const text = (words: string) => Buffer.from(words).toString('base64')
    return { return: { exited: true, exitcode: 3, 'out-data': text('grün, '), 'err-data': text('and red') } }
  })
  assert.deepEqual(await runInGuest(path, ['/bin/sh', '-c', 'exit 3'], 5000), { exitCode: 3, output: 'grün, and red' })
})

test('a guest that does not answer, answers nonsense or is not there is silent', async (t) => {
  const silent = await makeAgent(t, () => undefined)
  await assert.rejects(runInGuest(silent, ['/bin/true'], 50), { code: 'guest-silent' })
  const strange = await makeAgent(t, () => ({ return: { pid: 'seven' } }))
  await assert.rejects(runInGuest(strange, ['/bin/true'], 5000), { code: 'guest-silent' })
  await assert.rejects(runInGuest(`${silent}-absent`, ['/bin/true'], 5000), { code: 'guest-silent' })
})

test('a refusal, and a program that is ended by a signal, are failures with their reason', async (t) => {
  const refusing = await makeAgent(t, () => ({ error: { class: 'GenericError', desc: 'no such program' } }))
  await assert.rejects(runInGuest(refusing, ['/bin/true'], 5000), {
    code: 'hypervisor-failed',
    message: /no such program/,
  })
  const killed = await makeAgent(t, ({ execute }) =>
    execute === 'guest-exec' ? { return: { pid: 7 } } : { return: { exited: true, signal: 9 } },
  )
  await assert.rejects(runInGuest(killed, ['/bin/true'], 5000), { code: 'hypervisor-failed', message: /signal 9/ })
})
