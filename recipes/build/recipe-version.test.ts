import assert from 'node:assert/strict'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readRecipe } from './recipe.ts'
import { recipeVersion } from './recipe-version.ts'

const recipes = join(import.meta.dirname, '..')

test('a changed program of another recipe makes another version, a changed text about it does not', async (t) => {
  const { directory, version } = await copyRecipes(t)
  const before = await version()
  await writeFile(join(directory, 'resident/README.md'), 'Other words.')
  assert.equal(await version(), before)
  await writeFile(join(directory, 'resident/program/main.c'), 'int main(void) { return 0; }')
  assert.notEqual(await version(), before)
})

test('a changed program of its own and other package versions make another version', async (t) => {
  const { directory, version } = await copyRecipes(t)
  const before = await version()
  assert.notEqual(await version('2'), before)
  await writeFile(join(directory, 'tiny/tinyd/main.c'), 'int main(void) { return 0; }')
  assert.notEqual(await version(), before)
})

async function copyRecipes(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'recipes-'))
  t.after(() => rm(directory, { recursive: true }))
  for (const name of ['tiny', 'resident']) await cp(join(recipes, name), join(directory, name), { recursive: true })
  const tiny = join(directory, 'tiny')
  const version = async (packageVersion = '1') =>
    recipeVersion(await readRecipe(tiny), tiny, [{ name: 'tcc', version: packageVersion }])
  return { directory, version }
}
