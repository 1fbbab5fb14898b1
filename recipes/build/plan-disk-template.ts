/** Builds a template of a recipe that describes a whole disk: root file system by its packages, then a disk that boots by itself. */
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { rootDiskFileName, type TemplateManifest } from '../../src/model/template-manifest.ts'
import { makeBootDisk } from './boot-disk.ts'
import { sumFiles, writeManifest } from './built-template.ts'
import { findPackageVersions } from './debian-packages.ts'
import { makeDebianRoot } from './debian-root.ts'
import type { DiskRecipe } from './disk-recipe.ts'
import { formatVersion, recipeVersion } from './recipe-version.ts'
import type { TemplatePlan } from './template-plan.ts'

const kernelPackage = 'linux-image-cloud-amd64'

/** The version counts the packages that the recipe names and the kernel, not all that these depend on. */
export async function planDiskTemplate(
  recipe: DiskRecipe,
  recipeDirectory: string,
  onFetching: () => void,
): Promise<TemplatePlan> {
  const names = recipe.packages.map(({ name }) => name)
  const packages = await findPackageVersions(names, kernelPackage, onFetching)
  const version = await recipeVersion({ programs: [] }, recipeDirectory, packages)
  const kernelVersion = packages.at(-1)?.name.replace('linux-image-', '') ?? ''
  return {
    name: recipe.name,
    version,
    async build(scratch, report) {
      const output = join(scratch, 'template')
      await mkdir(output)
      report('root', 0.05, `installing Debian ${recipe.suite} with ${packages.length} packages and what they need`)
      const archive = await makeDebianRoot(recipe, { recipeDirectory, scratch })
      report('disk', 0.7, `making the disk of ${recipe.disk.sizeMiB} MiB`)
      const uuid = uuidOf(version)
      await makeBootDisk({ disk: recipe.disk, uuid, archive, scratch }, join(output, rootDiskFileName))
      report('manifest', 0.95, 'adding up the files')
      const manifest: TemplateManifest = {
        ...manifestOf(recipe),
        version,
        builtAt: new Date().toISOString(),
        kernelVersion,
        files: await sumFiles(output),
      }
      await writeManifest(output, manifest)
      return manifest
    },
  }
}

function manifestOf(recipe: DiskRecipe): Omit<TemplateManifest, 'version' | 'builtAt' | 'kernelVersion' | 'files'> {
  const { name, description, os, minimumMemoryMiB, defaultMemoryMiB, defaultCpus, ports } = recipe
  const { guestAgent, residentAgent, readiness, reseedsOnResume } = recipe
  return {
    formatVersion,
    ...{ name, description, os, minimumMemoryMiB, defaultMemoryMiB, defaultCpus, ports },
    ...{ guestAgent, residentAgent, readiness, reseedsOnResume },
    commandLine: '',
    commandLineTcg: '',
  }
}

/** The root file system's, the same for the same version. */
function uuidOf(version: string): string {
  const digits = createHash('sha256').update(`dialtone:${version}`).digest('hex').slice(0, 32)
  return digits.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5')
}
