import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProcessLife } from './process-life.ts'
import { createWorldTime } from './world-time.ts'

function begin(rate = 1) {
  const time = createWorldTime()
  const life = createProcessLife('agent', time, { rate, bootedAtMs: 0, wallOffsetMs: () => 0 })
  const heard: string[] = []
  const hear = (word: string) => () => void heard.push(`${word} at ${time.nowMs()}`)
  return { time, life, heard, hear }
}

test('everything that follows from an event without time passing has happened before the next event', async () => {
  const { time, life, heard, hear } = begin()
  const chain = async () => {
    for (let link = 0; link < 100; link += 1) await Promise.resolve()
    hear('the end of the chain')()
  }
  void life.clock.sleep(10).then(chain)
  void life.clock.sleep(10.001).then(hear('the next'))
  await time.run(20)
  assert.deepEqual(heard, ['the end of the chain at 10', 'the next at 10.001'])
})

test('a process that is stopped wakes, and takes up what was sent, only when it goes on', async () => {
  const { time, life, heard, hear } = begin()
  void life.clock.sleep(10).then(hear('woke'))
  time.after(20, () => life.enter(hear('message')))
  life.stop()
  time.after(50, () => life.goOn())
  await time.run(100)
  assert.deepEqual(heard, ['woke at 50', 'message at 50'])
})

test('nothing of a process that was killed happens any more', async () => {
  const { time, life, heard, hear } = begin()
  void life.clock.sleep(10).then(hear('woke'))
  void life.gate(Promise.resolve()).then(hear('answer'))
  life.onEnd(hear('end'))
  life.kill()
  life.enter(hear('message'))
  await time.run(100)
  assert.deepEqual(heard, ['end at 0'])
})

test('a sleep ends early by its signal; a clock that runs fast sleeps shorter', async () => {
  const { time, life, heard, hear } = begin(2)
  const waking = new AbortController()
  void life.clock.sleep(1_000, waking.signal).then(hear('woken'))
  void life.clock.sleep(100).then(hear('slept'))
  time.after(20, () => waking.abort())
  await time.run(100)
  assert.deepEqual(heard, ['woken at 20', 'slept at 50'])
  assert.equal(life.clock.bootTimeMs(), 200)
})
