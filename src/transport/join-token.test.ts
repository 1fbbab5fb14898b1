import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJoinToken } from './join-token.ts'

const fingerprint = 'ab'.repeat(32)

test('a join token has a secret and a fingerprint; blanks around it, from copying, do no harm', () => {
  const secret = 'x'.repeat(22)
  assert.deepEqual(parseJoinToken(` ${secret}.${fingerprint}\n`), { secret, authorityFingerprint: fingerprint })
})

test('what is cut off, or something else, is refused', () => {
  for (const token of [
    '',
    `short.${fingerprint}`,
    `${'x'.repeat(22)}.abc`,
    'x'.repeat(22),
    `${'!'.repeat(22)}.${fingerprint}`,
  ]) {
    assert.throws(() => parseJoinToken(token), { code: 'invalid-input' })
  }
})
