import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeVerbs, readScripts } from './help.ts'

test('every script of package.json has its sentence, and no sentence is without a script', async () => {
  const scripts = await readScripts()
  assert.equal(describeVerbs(scripts).length, scripts.length)
  assert.throws(() => describeVerbs([...scripts, 'unknown']), /differ: unknown/)
})
