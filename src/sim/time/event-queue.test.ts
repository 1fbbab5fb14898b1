import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '../seeded-random.ts'
import { createEventQueue } from './event-queue.ts'

test('events come out by their time, and those of one moment in the order in which they were planned', () => {
  const random = createSeededRandom(1)
  const queue = createEventQueue()
  const planned = Array.from({ length: 500 }, (_, order) => ({ atMs: random.whole(0, 50), order }))
  for (const { atMs } of planned) queue.add(atMs, () => undefined)
  const taken = planned
    .map(() => queue.takeUntil(50))
    .map((event) => ({ atMs: event?.atMs, order: (event?.order ?? 0) - 1 }))
  assert.deepEqual(
    taken,
    planned.toSorted((left, right) => left.atMs - right.atMs || left.order - right.order),
  )
})

test('what was called off does not happen, and what is later than asked for stays', () => {
  const queue = createEventQueue()
  queue.add(1, () => undefined).isCancelled = true
  queue.add(5, () => undefined)
  assert.equal(queue.nextAtMs(), 5)
  assert.equal(queue.takeUntil(4), undefined)
  assert.equal(queue.takeUntil(5)?.atMs, 5)
  assert.equal(queue.nextAtMs(), Infinity)
})
