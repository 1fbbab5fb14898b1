import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTerminal } from './stand-in/open-terminal.fixture.ts'

const terminal = openTerminal()
const { dialtone } = terminal

test('a name, tags and a note are changed and told', async () => {
  assert.match((await dialtone('vm rename web shop')).out, /^shop: its guest takes the name at its next start\.\n$/)
  assert.equal((await dialtone('vm tag add web shop blue shop')).out, 'web has blue, shop.\n')
  assert.equal((await dialtone('vm tag remove web shop')).out, 'web has no tags.\n')
  assert.equal((await dialtone('vm note web belongs-to-ann')).out, 'belongs-to-ann\n')
  assert.equal((await dialtone('vm note web')).out, 'Nothing is noted of web.\n')
  assert.equal(JSON.parse((await dialtone('vm rename web shop --json')).out).name, 'shop')
})

test('a note and its end together are refused', async () => {
  assert.equal((await dialtone('vm note web text --clear')).code, 2)
})

test('those with a tag are listed, and told when there is none', async () => {
  terminal.standIn.situation.vms = terminal.standIn.situation.vms.map((vm) => ({ ...vm, tags: ['blue'] }))
  assert.match((await dialtone('vm list --tag blue')).out, /web/)
  assert.equal((await dialtone('vm list --tag red')).err.trimEnd(), 'No VM has the tag red.')
  assert.match((await dialtone('vm show web')).out, /Tags: +blue/)
  assert.equal((await dialtone('__complete -- vm list --tag ')).out, 'blue\n')
})
