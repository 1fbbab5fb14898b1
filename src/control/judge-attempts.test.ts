import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeAttempts } from './judge-attempts.ts'

const limit = { most: 3, withinMs: 1000 }

test('so many attempts may fail, and the next one waits until the first of them is long enough ago', () => {
  assert.equal(judgeAttempts([0, 100], 200, limit).waitUntilMs, null)
  assert.equal(judgeAttempts([0, 100, 200], 300, limit).waitUntilMs, 1000)
  assert.equal(judgeAttempts([0, 100, 200], 1000, limit).waitUntilMs, null)
})

test('what is long ago is forgotten', () => {
  assert.deepEqual(judgeAttempts([0, 100, 200], 1100, limit).counted, [200])
})
