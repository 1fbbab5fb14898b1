/** What a recipe of a whole disk says: an operating system as its own packages make it, that boots by firmware. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { templateManifestSchema } from '../../src/model/template-manifest.ts'
import { packageNameSchema, recipeFileName } from './recipe.ts'

const diskRecipeSchema = z.strictObject({
  kind: z.literal('disk'),
  ...templateManifestSchema.pick({
    name: true,
    description: true,
    minimumMemoryMiB: true,
    defaultMemoryMiB: true,
    defaultCpus: true,
    ports: true,
    guestAgent: true,
    residentAgent: true,
    readiness: true,
    reseedsOnResume: true,
  }).shape,
  os: z.literal('linux'),
  /** The Debian release. */
  suite: z.string().regex(/^[a-z]+$/),
  /** Installed, with all that they depend on and nothing that they merely recommend. */
  packages: z.array(z.strictObject({ name: packageNameSchema, reason: z.string() })),
  /** Debian packages that must be installed where the template is built. */
  buildNeeds: z.array(z.strictObject({ package: packageNameSchema, reason: z.string() })),
  /** The root file system's label and the size of the whole disk; the partition that UEFI reads. */
  disk: z.strictObject({
    label: z.string().max(16),
    sizeMiB: z.number().int().min(512),
    systemPartitionMiB: z.number().int().min(8),
  }),
})
export type DiskRecipe = z.infer<typeof diskRecipeSchema>

/** Undefined when the recipe of this folder is of another kind. Throws `invalid-input` with what is wrong in it. */
export async function readDiskRecipe(directory: string): Promise<DiskRecipe | undefined> {
  const path = join(directory, recipeFileName)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const found: unknown = JSON.parse(text)
  if (!z.looseObject({ kind: z.literal('disk') }).safeParse(found).success) return undefined
  const parsed = diskRecipeSchema.safeParse(found)
  if (parsed.success) return parsed.data
  throw new DialtoneError('invalid-input', `the recipe ${path} is wrong: ${z.prettifyError(parsed.error)}`)
}
