import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readDiskRecipe } from './disk-recipe.ts'

const recipes = join(import.meta.dirname, '..')

test('the recipes that come with Dialtone are read as what they are', async () => {
  assert.equal((await readDiskRecipe(join(recipes, 'debian')))?.suite, 'bookworm')
  assert.equal(await readDiskRecipe(join(recipes, 'tiny')), undefined)
  assert.equal(await readDiskRecipe(join(recipes, 'nothing')), undefined)
})

test('a wrong one is refused with what is wrong in it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dialtone-recipe-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'recipe.json'), JSON.stringify({ kind: 'disk', name: 'x', suite: '../x' }))
  await assert.rejects(readDiskRecipe(folder), { code: 'invalid-input', message: /suite/ })
})
