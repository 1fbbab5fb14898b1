/** The version of a template: a hash of everything that goes into it. */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { PackageVersion } from './debian-packages.ts'
import { type Recipe, sourcesDirectory } from './recipe.ts'

/** Changes when the same inputs are put together differently, or the output folder looks different. */
export const formatVersion = 1

const builderDirectory = dirname(import.meta.filename)

/** 12 hexadecimal digits. Texts about the recipe (*.md) and programs beside it (*.ts) are no inputs; this builder is one. */
export async function recipeVersion(
  recipe: Pick<Recipe, 'programs'>,
  recipeDirectory: string,
  packages: readonly PackageVersion[],
): Promise<string> {
  const hash = createHash('sha256')
  hash.update(JSON.stringify({ formatVersion, packages: [...packages].sort((a, b) => (a.name < b.name ? -1 : 1)) }))
  await addFiles(hash, recipeDirectory, (name) => !name.endsWith('.md') && !name.endsWith('.ts'))
  for (const program of recipe.programs.filter((candidate) => candidate.recipe !== undefined)) {
    await addFiles(hash, sourcesDirectory(recipeDirectory, program), () => true)
  }
  await addFiles(hash, builderDirectory, (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  return hash.digest('hex').slice(0, 12)
}

async function addFiles(
  hash: ReturnType<typeof createHash>,
  directory: string,
  isInput: (name: string) => boolean,
): Promise<void> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = found.filter((entry) => entry.isFile() && isInput(entry.name)).map((e) => join(e.parentPath, e.name))
  for (const path of paths.sort()) {
    const content = await readFile(path)
    const isExecutable = ((await stat(path)).mode & 0o100) !== 0
    hash.update(JSON.stringify([path.slice(directory.length), isExecutable, content.length]))
    hash.update(content)
  }
}
