/** A rebuild on the command line, against the real contract over HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const { dialtone } = openTerminal()

test('without --yes it says what would be entered, every doubt and who has answered, and changes nothing', async () => {
  const { code, out } = await dialtone('rebuild')
  assert.equal(code, 0)
  assert.match(out, /vm +web +enter +shared\/vol-web00000 +runs on h1, and is left to run there/)
  assert.match(out, /vm web: its user-data is in no manifest/)
  assert.match(out, /shared\/vol-lost0000: is a disk that no manifest tells of/)
  assert.match(out, /These hosts answered: h1\. If there were others, bring them back first/)
  assert.match(out, /Nothing was changed\. To enter it: dialtone rebuild --yes/)
})

test('with --yes it is entered, and what was changed by others meanwhile fails with what to do', async () => {
  const { code, out, err } = await dialtone('rebuild --yes')
  assert.match(out, /1 entered\. Nothing was started/)
  assert.equal(code, 1)
  assert.match(err, /not entered: vm old/)
})

test('--json has all of it', async () => {
  const { out } = await dialtone('rebuild --json')
  assert.deepEqual(JSON.parse(out).answered, ['h1'])
})
