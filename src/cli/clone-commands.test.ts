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

test('a template is asked for with what was said of it, of now or of a snapshot', async () => {
  const words =
    'template create shop --from web@clean --version spring --memory 1GiB --cpus 2 --port 80 --port 443 --root-only'
  assert.equal((await dialtone(words)).code, 0)
  assert.equal((await dialtone('template create shop --from web')).code, 0)
  assert.deepEqual(terminal.standIn.situation.changes, [
    'create-template {"name":"shop","version":"spring","vm":"web","snapshot":"clean","note":"","memoryMiB":1024,"cpus":2,"ports":[80,443],"rootOnly":true}',
    'create-template {"name":"shop","vm":"web","note":"","rootOnly":false}',
  ])
  const { code, err } = await dialtone('template create shop --from web@')
  assert.equal(code, 2)
  assert.match(err, /web@before-upgrade/)
})

test('a set of clones is asked for, into one network', async () => {
  assert.equal((await dialtone('clone-set web --isolated test --suffix -test')).code, 0)
  assert.deepEqual(terminal.standIn.situation.changes, [
    'clone-set {"vms":["web"],"isolated":"test","suffix":"-test","start":false}',
  ])
  for (const words of ['clone-set web', 'clone-set web --into dev --isolated test']) {
    const { code, err } = await dialtone(words)
    assert.equal(code, 2)
    assert.match(err, /either --into or --isolated/)
  }
})
