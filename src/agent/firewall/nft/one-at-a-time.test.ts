import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneAtATime } from './one-at-a-time.ts'

test('what is wanted while a turn is under way shares the next one, which begins after it', async () => {
  let underWay = 0
  let began = 0
  const ends: (() => void)[] = []
  const turn = oneAtATime(async () => {
    began += 1
    underWay += 1
    assert.equal(underWay, 1)
    await new Promise<void>((resolve) => ends.push(resolve))
    underWay -= 1
  })
  const first = turn()
  await soon()
  const later = [turn(), turn(), turn()]
  await soon()
  assert.equal(began, 1)
  ends.shift()?.()
  await first
  await soon()
  assert.equal(began, 2)
  ends.shift()?.()
  await Promise.all(later)
  await turn.idle()
  assert.equal(began, 2)
})

test('a turn that fails is told to those who wait for it, and the next one goes on', async () => {
  let count = 0
  const turn = oneAtATime(async () => {
    count += 1
    if (count === 1) throw new Error('refused')
  })
  const waiting = [turn(), turn()]
  for (const one of waiting) await assert.rejects(one, /refused/)
  await turn()
  assert.equal(count, 2)
})

function soon(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
