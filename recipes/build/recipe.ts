/** What a recipe says: packages, modules, programs and files of one machine, and how it is started. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { DialtoneError } from '../../src/model/dialtone-error.ts'
import { nameSchema } from '../../src/model/ids.ts'
import { templateManifestSchema } from '../../src/model/template-manifest.ts'

export const packageNameSchema = z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/)
const innerPathSchema = z.string().regex(/^(?!.*\.\.)[\w.+-][\w./+-]*$/, 'must be a path without a leading slash')

const recipeSchema = z.strictObject({
  ...templateManifestSchema.pick({
    name: true,
    description: true,
    commandLine: true,
    commandLineTcg: true,
    minimumMemoryMiB: true,
    defaultMemoryMiB: true,
    defaultCpus: true,
    ports: true,
    guestAgent: true,
    residentAgent: true,
    readiness: true,
    reseedsOnResume: true,
  }).shape,
  /** Debian packages that are downloaded and unpacked, never installed. */
  packages: z.array(z.strictObject({ name: packageNameSchema, reason: z.string() })),
  /** Debian packages that must be installed where the template is built. */
  buildNeeds: z.array(z.strictObject({ package: packageNameSchema, reason: z.string() })),
  /** The meta package whose dependency is the kernel. */
  kernelPackage: packageNameSchema,
  /** Kernel modules in the order of loading; their dependencies are added before them. */
  earlyModules: z.array(z.string()),
  lateModules: z.array(
    z.strictObject({
      name: z.string(),
      /** vendor:device, four hexadecimal digits each: passed over in machines without that device. */
      onlyWithPci: z
        .string()
        .regex(/^[0-9a-f]{4}:[0-9a-f]{4}$/)
        .optional(),
    }),
  ),
  /** Folders of C sources, each compiled into one static program. */
  programs: z.array(
    z.strictObject({
      /** The recipe whose program it is; absent: this one. */
      recipe: nameSchema.optional(),
      sources: innerPathSchema,
      to: innerPathSchema,
    }),
  ),
  packageFiles: z.array(z.strictObject({ from: innerPathSchema, to: innerPathSchema })),
  folders: z.array(innerPathSchema),
  links: z.array(z.strictObject({ at: innerPathSchema, to: z.string() })),
  /** The machine's writable disk: one ext4 file system found by its label. */
  disk: z.strictObject({ label: z.string().max(16), sizeMiB: z.number().int().min(8) }),
})
export type Recipe = z.infer<typeof recipeSchema>

export const recipeFileName = 'recipe.json'

/** Reads DIRECTORY/recipe.json; throws DialtoneError('invalid-input') with what is wrong in it. */
export async function readRecipe(directory: string): Promise<Recipe> {
  const path = join(directory, recipeFileName)
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DialtoneError('not-found', `there is no recipe ${path}`, { cause })
  })
  const parsed = recipeSchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  throw new DialtoneError('invalid-input', `the recipe ${path} is wrong: ${z.prettifyError(parsed.error)}`)
}

/** The folder of a program's sources, in the recipe of DIRECTORY or in another beside it. */
export function sourcesDirectory(directory: string, { recipe, sources }: Recipe['programs'][number]): string {
  return join(recipe === undefined ? directory : join(dirname(directory), recipe), sources)
}
