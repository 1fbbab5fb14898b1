import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createCountdown } from './countdown.ts'

const expiry = () => {
  const { promise, resolve } = Promise.withResolvers<number>()
  return { promise, resolve }
}

test('it expires once, and not early', async () => {
  const { promise, resolve } = expiry()
  const countdown = createCountdown(resolve)
  countdown.start(60)
  const silentMs = await promise
  assert.ok(silentMs >= 60, `${silentMs} ms`)
  assert.equal(countdown.isRunning(), false)
})

test('restarts put it off, a new start changes its time, a restart does not start a stopped one', async () => {
  const { promise, resolve } = expiry()
  const countdown = createCountdown(resolve)
  const startedAt = performance.now()
  countdown.start(300)
  for (let pet = 0; pet < 4; pet += 1) {
    await delay(100)
    countdown.restart()
  }
  countdown.start(20)
  const silentMs = await promise
  assert.ok(silentMs >= 20, `${silentMs} ms`)
  assert.ok(performance.now() - startedAt >= 415)
  countdown.restart()
  assert.equal(countdown.isRunning(), false)
})

test('a process that was itself held up takes the restart that waits for it, and expires at once without one', async () => {
  let expired = 0
  const petted = createCountdown(() => (expired += 1))
  const silent = createCountdown(() => (expired += 10))
  petted.start(200)
  silent.start(200)
  await new Promise<void>((resolve) => {
    // Stands for a socket that is read after the timers.
    setTimeout(() => {
      const heldUpUntil = performance.now() + 300
      while (performance.now() < heldUpUntil);
      process.nextTick(() => petted.restart())
      // However late this runs, what was due before it has had its turn.
      setTimeout(() => setImmediate(() => setImmediate(resolve)), 15)
    }, 5)
  })
  assert.equal(expired, 10)
  petted.stop()
})
