/** The root file system of a Debian machine as a tar archive. Needs no rights of root: its users are those of a user namespace. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../src/linux/run-command.ts'
import { findDebianSources } from './debian-sources.ts'
import type { DiskRecipe } from './disk-recipe.ts'

const timeoutMs = 1_200_000

/** Pages, translations and texts that no machine reads; the licences stay. */
const leftOut = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/locale/*', '/usr/share/info/*']

export async function makeDebianRoot(
  recipe: DiskRecipe,
  { recipeDirectory, scratch }: { readonly recipeDirectory: string; readonly scratch: string },
): Promise<string> {
  const archive = join(scratch, 'root.tar')
  const files = join(scratch, 'own-files.tar')
  const sources = join(scratch, 'debian.sources')
  await writeFile(sources, await findDebianSources(recipe.suite))
  const tarOptions = ['--owner=0', '--group=0', '--mode=u+rwX,go+rX,go-w', '--sort=name', '--mtime=2026-01-01']
  const own = ['-C', join(recipeDirectory, 'rootfs'), '-cf', files, '.']
  await runCommand('tar', [...tarOptions, ...own], { timeoutMs: 60_000 })
  const customize = join(recipeDirectory, 'customize.sh')
  await runCommand(
    'mmdebstrap',
    [
      ...['--mode=unshare', '--variant=minbase', '--quiet', '--skip=check/empty'],
      `--include=${recipe.packages.map(({ name }) => name).join(',')}`,
      ...['--aptopt=Apt::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"'],
      ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}`),
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      // Before the packages: what they find they leave as it is.
      `--essential-hook=tar-in ${files} /`,
      `--customize-hook=copy-in ${customize} /tmp`,
      '--customize-hook=chroot "$1" sh -e /tmp/customize.sh',
      '--customize-hook=rm "$1/tmp/customize.sh"',
      ...[recipe.suite, archive, sources],
    ],
    { timeoutMs },
  )
  return archive
}
