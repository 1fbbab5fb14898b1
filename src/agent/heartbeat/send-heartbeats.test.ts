import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Acknowledgement } from '../../model/agent-protocol/heartbeat.ts'
import { DialtoneError } from '../../model/dialtone-error.ts'
import { defaultTimings as timings } from '../../model/timings.ts'
import { createVirtualClock } from '../virtual-clock.fixture.ts'
import { makeAcknowledgement, makeHeartbeat } from './heartbeat.fixture.ts'
import { sendHeartbeats } from './send-heartbeats.ts'

type Link = (timeoutMs: number) => Promise<Acknowledgement>

function open(t: TestContext, link: (clock: ReturnType<typeof createVirtualClock>) => Link) {
  const clock = createVirtualClock(0)
  const end = new AbortController()
  t.after(() => end.abort())
  const sentAtMs: number[] = []
  const received: { readonly sentAtMs: number; readonly atMs: number; readonly sequence: number }[] = []
  const unanswered: number[] = []
  const post = link(clock)
  const sender = sendHeartbeats({
    clock,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    signal: end.signal,
    timings: () => timings,
    compose: (sequence, unanswered) => makeHeartbeat({ sequence, unanswered }),
    post: (heartbeat, timeoutMs) => {
      unanswered.push(heartbeat.unanswered)
      sentAtMs.push(clock.bootTimeMs())
      return post(timeoutMs)
    },
    received: (_acknowledgement, sent) =>
      received.push({ sentAtMs: sent.sentAtMs, atMs: clock.bootTimeMs(), sequence: sent.heartbeat.sequence }),
  })
  return { clock, sender, sentAtMs, received, unanswered }
}

const answers: Link = async () => makeAcknowledgement()

describe('heartbeats', () => {
  test('are sent at a steady beat, however long an answer takes', async (t) => {
    const { clock, sentAtMs } = open(t, ({ sleep }) => async () => {
      await sleep(100)
      return makeAcknowledgement()
    })
    await clock.advance(1_000)
    assert.deepEqual(sentAtMs, [0, 250, 500, 750, 1_000])
  })

  test('count the lease from their sending, not from their answer', async (t) => {
    const { clock, received } = open(t, ({ sleep }) => async () => {
      await sleep(200)
      return makeAcknowledgement()
    })
    await clock.advance(400)
    assert.deepEqual(received, [{ sentAtMs: 0, atMs: 200, sequence: 0 }])
  })

  test('are sent at once when something changed, also when that was while one was under way', async (t) => {
    const { clock, sender, sentAtMs } = open(t, ({ sleep }) => async () => {
      await sleep(20)
      return makeAcknowledgement()
    })
    await clock.advance(100)
    sender.beatSoon()
    await clock.advance(10)
    sender.beatSoon()
    await clock.advance(30)
    assert.deepEqual(sentAtMs, [0, 100, 120])
  })

  test('over a dead link delay each other by little', async (t) => {
    const { clock, sentAtMs } = open(t, ({ sleep }) => async (timeoutMs) => {
      await sleep(timeoutMs)
      throw new DialtoneError('deadline-exceeded', 'nobody answered')
    })
    await clock.advance(2_000)
    assert.deepEqual(sentAtMs, [0, 500, 1_000, 1_500, 2_000])
  })

  test('do not hammer a link that refuses, even while changes are waiting', async (t) => {
    const { clock, sender, sentAtMs } = open(t, ({ sleep }) => async () => {
      await sleep(10)
      throw new DialtoneError('host-unreachable', 'refused')
    })
    for (let change = 0; change < 100; change += 1) {
      sender.beatSoon()
      await clock.advance(5)
    }
    assert.deepEqual(sentAtMs, [0, 250, 500])
  })

  test('go on after a failure, and a failed one extends no lease', async (t) => {
    let isUp = false
    const { clock, received, sentAtMs, unanswered } = open(t, () => async (timeoutMs) => {
      if (!isUp) throw new DialtoneError('host-unreachable', 'refused')
      return answers(timeoutMs)
    })
    await clock.advance(500)
    assert.deepEqual(received, [])
    isUp = true
    await clock.advance(250)
    assert.deepEqual(received, [{ sentAtMs: 750, atMs: 750, sequence: 3 }])
    assert.equal(sentAtMs.length, 4)
    await clock.advance(250)
    assert.deepEqual(unanswered, [0, 1, 2, 3, 0], 'each tells how many before it were not answered')
  })
})
