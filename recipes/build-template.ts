/**
 * Builds a template from a recipe: `node recipes/build-template.ts tiny --into DIR [--json]`, or `buildTemplate` from a
 * program. The folder appears whole or not at all; a recipe whose inputs have not changed is not built again.
 */
import { copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { DialtoneError } from '../src/model/dialtone-error.ts'
import type { TemplateManifest } from '../src/model/template-manifest.ts'
import { claimBuildFolder, removeLeftOvers } from './build/build-folder.ts'
import { type Check, flush, readWholeTemplate, sumFiles, writeManifest } from './build/built-template.ts'
import { findPackageVersions, type PackageVersion, unpackPackages } from './build/debian-packages.ts'
import { readDiskRecipe } from './build/disk-recipe.ts'
import { unpackKernel } from './build/linux-image.ts'
import { makeDisk } from './build/machine-disk.ts'
import { makeMachineRoot } from './build/machine-root.ts'
import { planDiskTemplate } from './build/plan-disk-template.ts'
import { type Recipe, readRecipe } from './build/recipe.ts'
import { formatVersion, recipeVersion } from './build/recipe-version.ts'
import type { Report, TemplatePlan } from './build/template-plan.ts'

export type BuildProgress = { readonly step: string; readonly fraction: number; readonly message: string }

export type BuildOptions = {
  /** A folder of recipes/. */
  readonly recipe: string
  /** Where templates are kept, one folder a version. Made if it is not there. */
  readonly into: string
  /** How an existing template is judged whole; by sizes if not given. */
  readonly check?: Check
  readonly onProgress?: (progress: BuildProgress) => void
}

export type BuiltTemplate = {
  readonly directory: string
  readonly manifest: TemplateManifest
  readonly alreadyBuilt: boolean
}

const recipesDirectory = dirname(import.meta.filename)
const otherBuilderTimeoutMs = 600_000
const otherBuilderPollMs = 500

/**
 * Returns the template of the recipe as it is now, built if need be. Throws DialtoneError: 'not-found' (no such recipe),
 * 'machine-setup' (a program or package is missing), 'deadline-exceeded' (another process is building it for too long).
 */
export async function buildTemplate(options: BuildOptions): Promise<BuiltTemplate> {
  const report = (step: string, fraction: number, message: string) => options.onProgress?.({ step, fraction, message })
  const recipeDirectory = join(recipesDirectory, basename(options.recipe))
  const fetching = () => report('lists', 0, 'fetching the package lists')
  const diskRecipe = await readDiskRecipe(recipeDirectory)
  const plan =
    diskRecipe === undefined
      ? await planKernelTemplate(recipeDirectory, fetching)
      : await planDiskTemplate(diskRecipe, recipeDirectory, fetching)
  const into = resolve(options.into)
  await mkdir(into, { recursive: true })
  const directory = join(into, `${plan.name}-${plan.version}`)
  await waitForOtherBuilder(into, basename(directory), report)
  const existing = await readWholeTemplate(directory, options.check ?? 'sizes')
  if (existing !== undefined) {
    report('done', 1, `already built: ${directory}`)
    return { directory, manifest: existing, alreadyBuilt: true }
  }
  const scratch = await claimBuildFolder(into, basename(directory))
  try {
    const manifest = await plan.build(scratch, report)
    await moveIntoPlace(join(scratch, 'template'), directory)
    report('done', 1, `built: ${directory}`)
    return { directory, manifest, alreadyBuilt: false }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

type Build = {
  readonly recipe: Recipe
  readonly recipeDirectory: string
  readonly packages: readonly PackageVersion[]
  readonly version: string
  readonly scratch: string
  readonly report: Report
}

async function planKernelTemplate(recipeDirectory: string, onFetching: () => void): Promise<TemplatePlan> {
  const recipe = await readRecipe(recipeDirectory)
  const names = recipe.packages.map(({ name }) => name)
  const packages = await findPackageVersions(names, recipe.kernelPackage, onFetching)
  const version = await recipeVersion(recipe, recipeDirectory, packages)
  return {
    name: recipe.name,
    version,
    build: (scratch, report) => build({ recipe, recipeDirectory, packages, version, scratch, report }),
  }
}

async function build({
  recipe,
  recipeDirectory,
  packages,
  version,
  scratch,
  report,
}: Build): Promise<TemplateManifest> {
  const output = join(scratch, 'template')
  const packageRoot = join(scratch, 'root')
  await mkdir(output)
  report('packages', 0.02, `downloading and unpacking ${packages.length} Debian packages`)
  await unpackPackages(packages, scratch, packageRoot)
  const kernelVersion = await onlyEntry(join(packageRoot, 'lib/modules'))
  report('kernel', 0.5, `unpacking the kernel ${kernelVersion}`)
  const vmlinux = join(scratch, 'vmlinux')
  await unpackKernel(join(packageRoot, 'boot', `vmlinuz-${kernelVersion}`), vmlinux)
  await copyFile(vmlinux, join(output, 'vmlinux'))
  report('root', 0.8, 'compiling programs, packing the first file system')
  const root = await makeMachineRoot({ recipe, recipeDirectory, packageRoot, kernelVersion, scratch })
  await writeFile(join(output, 'initrd.img'), root)
  report('disk', 0.9, `making the disk of ${recipe.disk.sizeMiB} MiB`)
  await makeDisk(recipe.disk, output, scratch)
  report('manifest', 0.95, 'adding up the files')
  const manifest = { ...manifestOf(recipe, version, kernelVersion), files: await sumFiles(output), packages }
  await writeManifest(output, manifest)
  return manifest
}

function manifestOf(recipe: Recipe, version: string, kernelVersion: string): Omit<TemplateManifest, 'files'> {
  const { name, description, commandLine, commandLineTcg, minimumMemoryMiB, defaultMemoryMiB, defaultCpus } = recipe
  return {
    formatVersion,
    name,
    version,
    description,
    builtAt: new Date().toISOString(),
    kernelVersion,
    commandLine,
    commandLineTcg,
    minimumMemoryMiB,
    defaultMemoryMiB,
    defaultCpus,
    ports: recipe.ports,
    guestAgent: recipe.guestAgent,
    residentAgent: recipe.residentAgent,
    os: 'linux',
    readiness: recipe.readiness,
    reseedsOnResume: recipe.reseedsOnResume,
  }
}

/** Returns once nobody else builds this template. Two that begin in the same instant both build; the first to end wins. */
async function waitForOtherBuilder(into: string, folder: string, report: Report): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += otherBuilderPollMs) {
    const living = await removeLeftOvers(into)
    if (!living.includes(folder)) return
    if (waitedMs === 0) report('wait', 0, `another process is building ${folder}: waiting for it`)
    if (waitedMs >= otherBuilderTimeoutMs) {
      throw new DialtoneError('deadline-exceeded', `another process has been building ${folder} for too long`)
    }
    await sleep(otherBuilderPollMs)
  }
}

async function moveIntoPlace(from: string, directory: string): Promise<void> {
  const isFree = await rename(from, directory).then(
    () => true,
    () => false,
  )
  if (!isFree && (await readWholeTemplate(directory, 'sums')) === undefined) {
    // What stands there is damaged, else it would have been used. It is moved away first: a folder is never half of each.
    await rename(directory, `${from}-damaged`)
    await rename(from, directory)
  }
  await flush(dirname(directory))
}

async function onlyEntry(directory: string): Promise<string> {
  const [name, ...others] = await readdir(directory)
  if (name !== undefined && others.length === 0) return name
  throw new DialtoneError('image-corrupt', `the kernel package has no single folder in ${directory}`)
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { into: { type: 'string' }, json: { type: 'boolean' }, verify: { type: 'boolean' } },
  })
  const [recipe] = positionals
  if (recipe === undefined || values.into === undefined) {
    console.error('usage: node recipes/build-template.ts RECIPE --into DIR [--json] [--verify]')
    process.exit(2)
  }
  const isJson = values.json === true
  const print = (progress: BuildProgress) =>
    console.log(isJson ? JSON.stringify(progress) : `${progress.step.padEnd(9)} ${progress.message}`)
  try {
    const check = values.verify === true ? 'sums' : 'sizes'
    const { directory } = await buildTemplate({ recipe, into: values.into, check, onProgress: print })
    console.log(isJson ? JSON.stringify({ directory }) : directory)
  } catch (error) {
    if (!(error instanceof DialtoneError)) throw error
    console.error(isJson ? JSON.stringify({ error: error.code, message: error.message }) : error.message)
    process.exitCode = 1
  }
}
