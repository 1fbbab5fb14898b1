/** Images from outside: disks that become templates, discs of the library, and the way in for both. */
import { z } from 'zod'
import { guestOsSchema } from '../guest.ts'
import { nameSchema } from '../ids.ts'
import { cdromDrives } from '../iso.ts'
import { templateVersionSchema } from '../template-manifest.ts'
import type { Contract } from './route.ts'
import { isoViewSchema, taskViewSchema, vmViewSchema } from './views.ts'
import { referenceSchema } from './vm-routes.ts'

/** Made up by whoever uploads; whoever knows it may use what was uploaded. */
export const uploadIdSchema = z.string().regex(/^[a-z0-9]{16,64}$/, 'must be 16 to 64 small letters and digits')

export const maximumUploadBytes = 2 ** 40

/** Where an image comes from: a file that was uploaded before, or an address that the controller fetches it from. */
export const imageSourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('upload'), upload: uploadIdSchema }),
  z.strictObject({
    kind: z.literal('url'),
    url: z
      .url({ protocol: /^https?$/, error: 'must begin with http:// or https://' })
      .refine(
        (text) => !/^[^/]*\/\/[^/?#]*@/.test(text),
        'must have no user and password in it: errors and tasks would show them',
      ),
    /** What must come; unchecked when left out. */
    sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in small hexadecimal digits')
      .optional(),
  }),
])
export type ImageSource = z.infer<typeof imageSourceSchema>

const begun = z.object({ task: taskViewSchema })

export const imageRoutes = {
  upload: {
    method: 'GET',
    path: '/v1/uploads/:upload',
    role: 'administrator',
    summary: 'Takes so many bytes in, keeps them for a day, and answers with a line: ok, or why not.',
    params: z.object({ upload: uploadIdSchema }),
    query: z.object({ bytes: z.coerce.number().int().min(1).max(maximumUploadBytes) }),
    stream: 'upgrade',
  },
  importTemplate: {
    method: 'POST',
    path: '/v1/templates/import',
    role: 'administrator',
    summary: 'Makes a template of a disk image (qcow2 or raw) that boots by BIOS or UEFI.',
    body: z.strictObject({
      source: imageSourceSchema,
      name: nameSchema,
      /** The date of today when it is left out. */
      version: templateVersionSchema.max(23).optional(),
      os: guestOsSchema.default('linux'),
      description: z
        .string()
        .max(200)
        .regex(/^[^\p{Cc}]*$/u, 'must be one line of text')
        .default(''),
      minimumMemoryMiB: z.number().int().min(16).max(1_048_576).default(256),
      defaultMemoryMiB: z.number().int().min(16).max(1_048_576).default(1024),
    }),
    response: begun,
    status: 202,
  },
  listIsos: {
    method: 'GET',
    path: '/v1/isos',
    role: 'viewer',
    summary: 'All discs of the library.',
    response: z.object({ isos: z.array(isoViewSchema) }),
  },
  importIso: {
    method: 'POST',
    path: '/v1/isos',
    role: 'administrator',
    summary: 'Takes a disc (ISO 9660 or UDF) into the library.',
    body: z.strictObject({ source: imageSourceSchema, name: nameSchema }),
    response: begun,
    status: 202,
  },
  deleteIso: {
    method: 'DELETE',
    path: '/v1/isos/:iso',
    role: 'administrator',
    summary: 'Deletes a disc that is in no drive.',
    params: z.object({ iso: referenceSchema }),
    response: z.object({}),
  },
  changeDrive: {
    method: 'PUT',
    path: '/v1/vms/:vm/drives/:drive',
    role: 'operator',
    summary: 'Puts a disc into a drive, in place of what is in it; null takes it out.',
    params: z.object({
      vm: referenceSchema,
      drive: z.coerce
        .number()
        .int()
        .min(0)
        .max(cdromDrives - 1),
    }),
    body: z.strictObject({
      iso: referenceSchema.nullable(),
      /** Also when its guest has locked the drive. */
      force: z.boolean().default(false),
    }),
    response: vmViewSchema,
  },
} as const satisfies Contract
