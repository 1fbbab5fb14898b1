import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashPassword, isPassword } from './password.ts'

test('a password is known again in any spelling of its letters, and another one is not', async () => {
  const kept = await hashPassword('Übergabe um neun')
  assert.match(kept, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  assert.equal(await isPassword(kept, 'U\u0308bergabe um neun'), true)
  assert.equal(await isPassword(kept, 'Übergabe um zehn'), false)
})

test('the same password is kept differently each time', async () => {
  assert.notEqual(await hashPassword('correct horse'), await hashPassword('correct horse'))
})

test('nobody is let in as a user that there is not', async () => {
  assert.equal(await isPassword(null, ''), false)
})

test('a crowd is sent away instead of queued without bound', async () => {
  const results = await Promise.allSettled(Array.from({ length: 60 }, () => isPassword(null, 'guess')))
  const refused = results.filter(({ status }) => status === 'rejected').length
  assert.ok(refused > 0 && refused < 60, `${refused} were refused`)
})
