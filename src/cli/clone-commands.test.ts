import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()
const { dialtone } = terminal

test('a clone is asked for with what was said of it', async () => {
  assert.equal((await dialtone('vm clone web copy --snapshot clean --full --network lan --start')).code, 0)
  assert.deepEqual(terminal.standIn.situation.changes, [
    'clone-disks {"name":"copy","snapshot":"clean","full":true,"network":"lan","start":true} web',
  ])
})

test('one without a name, and options that are of the other kind of clone, are refused with what to do', async () => {
  for (const [words, next] of [
    ['vm clone web', /web-test/],
    ['vm clone web copy --count 3', /--from-memory/],
    ['vm clone web copy --ha', /--from-memory/],
    ['vm clone web --from-memory --full', /do not go together/],
  ] as const) {
    const { code, err } = await dialtone(words)
    assert.equal(code, 2, words)
    assert.match(err, next)
  }
  assert.deepEqual(terminal.standIn.situation.changes, [])
})
