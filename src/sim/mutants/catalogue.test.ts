import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { describe, test } from 'node:test'
import { catalogue } from './catalogue.ts'
import { mutate } from './mutant.ts'

const root = new URL('../../../', import.meta.url)
const read = (file: string) => readFile(new URL(file, root), 'utf8')

describe('the catalogue', () => {
  test('has at least 60 bugs, each with a name of its own and a checker that is to notice it', () => {
    assert.ok(catalogue.length >= 60)
    assert.equal(new Set(catalogue.map(({ id }) => id)).size, catalogue.length)
    assert.deepEqual(
      catalogue.filter(({ caughtBy, says }) => caughtBy.length === 0 || !says.endsWith('.')),
      [],
    )
  })

  test('has bugs in every layer that a world runs, and in nothing but the product', () => {
    const layers = new Set(catalogue.flatMap(({ patches }) => patches.map(({ file }) => file.split('/')[1])))
    assert.deepEqual(layers, new Set(['agent', 'control', 'engine', 'model']))
    const outside = catalogue.flatMap(({ patches }) =>
      patches.filter(({ file }) => /\.(?:test|fixture|contract)\.ts$|\/fake/.test(file)),
    )
    assert.deepEqual(outside, [])
  })

  for (const { id, patches } of catalogue) {
    test(`${id} fits the source as it is, changes it, and is still a program`, async () => {
      for (const file of new Set(patches.map((patch) => patch.file))) {
        const source = await read(file)
        const mutated = mutate(
          source,
          patches.filter((patch) => patch.file === file),
        )
        assert.notEqual(mutated, source)
        assert.doesNotThrow(() => stripTypeScriptTypes(mutated))
      }
    })
  }
})

test('a patch that fits nowhere, or in two places, says so', () => {
  const patch = { file: 'x.ts', find: 'one', put: 'two' }
  assert.equal(mutate('this one', [patch]), 'this two')
  assert.throws(() => mutate('nothing', [patch]), /x\.ts has this 0 times, not once/)
  assert.throws(() => mutate('one and one', [patch]), /x\.ts has this 2 times, not once/)
})
