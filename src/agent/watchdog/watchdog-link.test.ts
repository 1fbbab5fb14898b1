import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eachLine } from '../../linux/each-line.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { createWatchdogLink } from './watchdog-link.ts'
import { makeState } from './watchdog-state.fixture.ts'

const isNotThere = /the watchdog process is not there/

/** A watchdog process that comes and goes; the link's own clock stands still but for what a test passes. */
function open(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'watchdog-link-'))
  const path = join(folder, 'socket')
  const clock = createVirtualClock()
  const link = createWatchdogLink(path, { clock, deadlineMs: 500 })
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const end = async () => {
    const closed = new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)))
    for (const socket of sockets) socket.destroy()
    server = undefined
    await closed
  }
  t.after(async () => {
    await link[Symbol.asyncDispose]()
    await end()
    rmSync(folder, { recursive: true })
  })
  const until = async (condition: () => boolean) => {
    for (let turn = 0; !condition(); turn += 1) {
      assert.ok(turn < 1_000, 'it did not come about')
      await clock.advance(50)
      await sleep(2)
    }
  }
  return {
    link,
    end,
    until,
    async begin(answers: boolean) {
      server = createServer((socket) => {
        sockets.add(socket)
        socket.on('error', () => undefined)
        socket.write('{"sequence":0,"armed":"hard"}\n')
        eachLine(socket, (line) => {
          const { sequence } = JSON.parse(line)
          if (answers) socket.write(`${JSON.stringify({ sequence, armed: 'hard' })}\n`)
        })
      }).listen(path)
      const before = sockets.size
      await until(() => sockets.size > before && link.armed() === 'hard')
    },
  }
}

describe('what is told to the watchdog process', () => {
  test('is answered', async (t) => {
    const { link, begin } = open(t)
    await begin(true)
    await link.tell(makeState())
  })

  test('is refused at once while there is none, and heard by the next one', async (t) => {
    const { link, begin, end, until } = open(t)
    await assert.rejects(link.tell(makeState()), isNotThere)
    await begin(true)
    await end()
    let isRefused = false
    await until(() => {
      link.tell(makeState()).catch(() => {
        isRefused = true
      })
      return isRefused
    })
    await begin(true)
    await link.tell(makeState())
  })

  test('is not waited for when it goes away before its answer', async (t) => {
    const { link, begin, end } = open(t)
    await begin(false)
    const told = assert.rejects(link.tell(makeState()), isNotThere)
    await end()
    await told
  })
})
