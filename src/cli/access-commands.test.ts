/** Users and access tokens on the command line, against the real contract over HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()
const { dialtone } = terminal

test('a password is read from standard input, and stands in no argument and no output', async () => {
  const { code, out, err } = await dialtone('user create bob --role operator', { input: 'a long sentence\nmore\n' })
  assert.equal(code, 0, err)
  assert.deepEqual(terminal.standIn.situation.changes, ['user create bob operator a long sentence'])
  assert.equal(out, 'bob may sign in, with the role operator.\n')
  assert.doesNotMatch(err, /sentence/)
})

test('without a password nothing is done; one that is too short is refused with the reason', async () => {
  const { code, err } = await dialtone('user create bob', { input: '' })
  assert.equal(code, 2)
  assert.match(err, /no password was given/)
  assert.match((await dialtone('user set-password bob', { input: 'short\n' })).err, /at least 10 characters/)
  assert.deepEqual(terminal.standIn.situation.changes, [])
})

test('a role that there is not is refused as usage', async () => {
  const { code, err } = await dialtone('user set-role ann king')
  assert.equal(code, 2)
  assert.match(err, /viewer, operator/)
})

test('a new token is all that standard output has, so that a script can keep it', async () => {
  const { out, err } = await dialtone('token create backup --role operator --expires 24h')
  assert.equal(out, 'the-secret-of-the-token\n')
  assert.match(err, /never again/)
  assert.deepEqual(terminal.standIn.situation.changes, ['token create backup operator 86400'])
})

test('users and tokens are listed, revoked and deleted', async () => {
  assert.match((await dialtone('user list')).out, /ann +operator +yes/)
  assert.match((await dialtone('token list')).out, /backup +viewer +admin/)
  assert.equal((await dialtone('token revoke backup')).code, 0)
  assert.equal((await dialtone('user delete ann --yes')).code, 0)
  assert.deepEqual(terminal.standIn.situation.changes, ['token revoke backup', 'user delete ann'])
})
