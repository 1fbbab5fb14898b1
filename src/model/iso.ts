/** A disc of the library: an image that machines can have in one of their drives. Its id names its folder and its version on hosts. */
import { z } from 'zod'
import { isoIdSchema, nameSchema } from './ids.ts'
import { templateFileSchema } from './template-manifest.ts'

/** A machine that boots by its firmware has so many drives. */
export const cdromDrives = 2
export const isoFileName = 'disc.iso'

export const isoManifestSchema = z.object({
  formatVersion: z.literal(1),
  version: isoIdSchema,
  files: z.object({ [isoFileName]: templateFileSchema }),
})
export type IsoManifest = z.infer<typeof isoManifestSchema>

export const isoSpecSchema = z.object({
  id: isoIdSchema,
  name: nameSchema,
  bytes: z.number().int(),
  sha256: z.string(),
  importedAt: z.iso.datetime(),
  /** Folder of its files on the controller. */
  directory: z.string(),
})
export type IsoSpec = z.infer<typeof isoSpecSchema>

/** What is in each of its drives; null: nothing. */
export const cdromsSchema = z.array(isoIdSchema.nullable()).max(cdromDrives)
