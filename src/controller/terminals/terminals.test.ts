import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { vmIdOf } from '../../model/cluster-state.fixture.ts'
import { createConsoleTickets } from './console-tickets.ts'
import { openLastingStream } from './lasting-stream.ts'

const ann = { name: 'ann', role: 'operator', sessionKey: 'user-session/ann' } as const
const web = vmIdOf('web')

function openTickets() {
  const time = { nowMs: 0 }
  let count = 0
  const randomBytes = (bytes: number) => new Uint8Array(bytes).fill((count += 1))
  return { time, tickets: createConsoleTickets({ nowMs: () => time.nowMs, randomBytes }) }
}

test('a ticket counts once, for a moment, for its machine and its session', () => {
  const { tickets, time } = openTickets()
  const forbidden = { code: 'forbidden' }
  const ticket = tickets.issue(web, ann)
  tickets.redeem(ticket, web, ann)
  assert.throws(() => tickets.redeem(ticket, web, ann), forbidden, 'it was shown before')
  assert.throws(() => tickets.redeem(undefined, web, ann), forbidden)
  assert.throws(() => tickets.redeem(tickets.issue(web, ann), vmIdOf('db'), ann), forbidden)
  const others = { ...ann, sessionKey: 'user-session/other' }
  assert.throws(() => tickets.redeem(tickets.issue(web, ann), web, others), forbidden)
  const late = tickets.issue(web, ann)
  time.nowMs += 20_001
  assert.throws(() => tickets.redeem(late, web, ann), forbidden)
})

/** What an agent's end does: says where it is, and repeats what it is told. */
function machineAt(place: string): Duplex {
  const stream: Duplex = new Duplex({
    allowHalfOpen: false,
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      stream.push(`${place} heard ${chunk.toString()};`)
      done()
    },
  })
  stream.on('error', () => undefined)
  return stream
}

const clock = {
  bootTimeMs: () => performance.now(),
  sleep: () => new Promise<void>((resolve) => setImmediate(resolve)),
}

async function hear(stream: Duplex): Promise<string> {
  const [chunk] = await once(stream, 'data')
  return String(chunk)
}

test('a console goes on where its machine is after a move, with what was typed meanwhile', async () => {
  const opened: Duplex[] = []
  let isOver = false
  const stream = await openLastingStream({
    clock,
    async open() {
      const end = machineAt(`h${opened.length + 1}`)
      opened.push(end)
      return end
    },
    isOver: () => isOver,
  })
  stream.write('one')
  assert.equal(await hear(stream), 'h1 heard one;')
  opened[0]?.destroy()
  await once(opened[0] ?? stream, 'close')
  stream.write('two')
  assert.equal(await hear(stream), 'h2 heard two;')
  isOver = true
  opened[1]?.destroy()
  await once(stream, 'close')
  assert.equal(opened.length, 2, 'a machine that was stopped is not waited for')
})

test('a console that nobody looks at any more lets go of its machine', async () => {
  const end = machineAt('h1')
  const stream = await openLastingStream({ clock, open: async () => end, isOver: () => false })
  stream.destroy()
  await once(end, 'close')
})
