import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeAge, describeLoss, loses } from './describe-loss.ts'

const minute = 60_000
const image = { ageMs: 5 * minute, changedMiB: 12 }
const warm = { mode: 'warm' } as const
const checkpoint = { mode: 'checkpoint', everySeconds: 300, keep: 2 } as const

test('a machine that boots loses what was in memory', () => {
  assert.equal(
    describeLoss({ recovery: { mode: 'boot' }, image: null, note: '' }),
    'A recovery boots it and loses nothing on disk, only what was in memory.',
  )
})

test('a warm one loses what was written to its root disk since its image, and the data volumes nothing', () => {
  assert.equal(
    describeLoss({ recovery: warm, image, note: '' }),
    'A recovery resumes its memory image and loses 12 MiB that were written to its root disk since its image of 5 minutes ago; data volumes lose nothing.',
  )
  assert.match(describeLoss({ recovery: warm, image: { ...image, changedMiB: 0 }, note: '' }), /loses nothing on disk/)
})

test('a checkpointed one loses all since the checkpoint', () => {
  assert.equal(
    describeLoss({ recovery: checkpoint, image, note: '' }),
    'A recovery resumes its checkpoint and loses all that it did since its checkpoint of 5 minutes ago, with 12 MiB written to its disks.',
  )
})

test('without an image it says that it would boot, and why there is none', () => {
  assert.equal(
    describeLoss({ recovery: warm, image: null, note: 'waits for its first correct answer' }),
    'There is no memory image yet (waits for its first correct answer): a recovery would boot it and lose nothing on disk, only what was in memory.',
  )
  assert.match(describeLoss({ recovery: checkpoint, image: null, note: '' }), /^There is no checkpoint yet: .* boot/)
})

test('each rung says its own loss: rebuilding the root loses the root disk', () => {
  const facts = { recovery: warm, image, note: '' }
  assert.match(loses('rebuild-root', facts), /all that was ever written to its root disk/)
  assert.match(loses('restart-in-guest', facts), /^nothing but/)
  assert.equal(loses('resume-elsewhere', facts), loses('resume-here', facts))
})

test('ages are told in the unit that people use', () => {
  const ages = [-5, 1_000, 119_000, 2 * minute, 119 * minute, 120 * minute, 47 * 60 * minute, 48 * 60 * minute]
  assert.deepEqual(ages.map(describeAge), [
    '0 seconds',
    '1 second',
    '119 seconds',
    '2 minutes',
    '119 minutes',
    '2 hours',
    '47 hours',
    '2 days',
  ])
})
