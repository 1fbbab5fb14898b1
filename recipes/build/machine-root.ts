/** The first (and only) root file system of a machine: programs, modules, package files and the recipe's own files. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../src/linux/run-command.ts'
import { type ArchiveEntry, cpioArchive } from './cpio-archive.ts'
import { type KernelModule, ModuleLibrary } from './kernel-modules.ts'
import { type Recipe, sourcesDirectory } from './recipe.ts'

export type RootMaterial = {
  readonly recipe: Recipe
  readonly recipeDirectory: string
  /** Where the Debian packages are unpacked. */
  readonly packageRoot: string
  readonly kernelVersion: string
  readonly scratch: string
}

const compileTimeoutMs = 60_000
const folderOfOwnFiles = 'rootfs'

/** The bytes of initrd.img. Not packed: unpacking costs an emulated processor more than copying. */
export async function makeMachineRoot(material: RootMaterial): Promise<Buffer> {
  const { recipe, packageRoot } = material
  const folders = recipe.folders.map((path): ArchiveEntry => ({ kind: 'folder', path }))
  const links = recipe.links.map(({ at, to }): ArchiveEntry => ({ kind: 'link', path: at, target: to }))
  const fromPackages = recipe.packageFiles.map(({ from, to }) => fileEntry(join(packageRoot, from), to))
  return cpioArchive([
    ...folders,
    // Standard streams of the first program, before it has mounted /dev.
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    ...links,
    ...(await Promise.all(fromPackages)),
    ...(await ownFiles(join(material.recipeDirectory, folderOfOwnFiles))),
    ...(await programs(material)),
    ...(await modules(material)),
  ])
}

async function fileEntry(from: string, to: string): Promise<ArchiveEntry> {
  const content = await readFile(from)
  const { mode } = await stat(from)
  return { kind: 'file', path: to, content, isExecutable: (mode & 0o100) !== 0 }
}

async function ownFiles(directory: string): Promise<ArchiveEntry[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(paths.map((path) => fileEntry(path, path.slice(directory.length + 1))))
}

async function modules({ recipe, packageRoot, kernelVersion }: RootMaterial): Promise<ArchiveEntry[]> {
  const library = await ModuleLibrary.open(join(packageRoot, 'lib/modules', kernelVersion))
  const early = await library.inLoadingOrder(recipe.earlyModules, new Set())
  const loaded = new Set(early.map(({ name }) => name))
  const late: KernelModule[] = []
  const lateLines: string[] = []
  for (const { name, onlyWithPci } of recipe.lateModules) {
    for (const module of await library.inLoadingOrder([name], loaded)) {
      loaded.add(module.name)
      late.push(module)
      lateLines.push(onlyWithPci === undefined ? module.name : `${module.name} ${onlyWithPci}`)
    }
  }
  const files = [...early, ...late].map(({ name, content }) => plainFile(`lib/modules/${name}.ko`, content))
  return [
    ...files,
    plainFile('lib/modules/early', lines(early.map(({ name }) => name))),
    plainFile('lib/modules/late', lines(lateLines)),
  ]
}

async function programs({ recipe, recipeDirectory, packageRoot, scratch }: RootMaterial): Promise<ArchiveEntry[]> {
  const libraries = join(packageRoot, 'usr/lib/x86_64-linux-musl')
  const compiler = join(packageRoot, 'usr/lib/x86_64-linux-gnu/tcc')
  const entries: ArchiveEntry[] = []
  for (const program of recipe.programs) {
    const directory = sourcesDirectory(recipeDirectory, program)
    const files = (await readdir(directory)).filter((name) => name.endsWith('.c')).sort()
    const compiled = join(scratch, program.to.replaceAll('/', '-'))
    await runCommand(
      join(packageRoot, 'usr/bin/tcc'),
      [
        ...['-Wall', '-Werror', '-static', '-nostdinc', '-nostdlib', `-B${compiler}`, `-I${join(compiler, 'include')}`],
        `-I${join(packageRoot, 'usr/include/x86_64-linux-musl')}`,
        ...['-o', compiled, join(libraries, 'crt1.o'), join(libraries, 'crti.o')],
        ...files.map((name) => join(directory, name)),
        ...[join(libraries, 'libc.a'), join(compiler, 'libtcc1.a'), join(libraries, 'crtn.o')],
      ],
      { timeoutMs: compileTimeoutMs },
    )
    entries.push(await fileEntry(compiled, program.to))
  }
  return entries
}

function plainFile(path: string, content: Buffer): ArchiveEntry {
  return { kind: 'file', path, content, isExecutable: false }
}

function lines(texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text}\n`).join(''))
}
