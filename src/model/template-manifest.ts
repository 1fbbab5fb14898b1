/** The paper that comes with one version of a template: what its files are (to the byte), how its kernel is started and what it needs. */
import { z } from 'zod'
import { guestOsSchema, guestSchema } from './guest.ts'
import { nameSchema } from './ids.ts'
import { probeCheckSchema } from './recovery/probe.ts'
import { consistencySchema } from './snapshots/snapshot.ts'

/** Names a folder and a file on hosts and storages, so nothing that a path could be built from is let in. */
export const templateVersionSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be a template version: small letters, digits, dots and hyphens')

export const rootDiskFileName = 'root.qcow2'
/** The template that there always is: an empty disk, for systems that are installed from a disc. */
export const blankTemplate = 'blank'

/** The files of a template that is started with a kernel of its own: it has both, or neither. */
export const kernelFileNames = ['vmlinux', 'initrd.img'] as const
export const templateManifestFileName = 'manifest.json'

const templateFileNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/)
  .refine((name) => name !== templateManifestFileName, 'the manifest does not list itself')

export const templateFileSchema = z.object({
  bytes: z.number().int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in small hexadecimal digits'),
})
export type TemplateFile = z.infer<typeof templateFileSchema>

/** The machine that a template was made from, and its instant. */
export const madeFromSchema = z.object({
  vmName: nameSchema,
  /** Null: as it was when the template was asked for. */
  snapshotName: nameSchema.nullable(),
  takenAt: z.iso.datetime(),
  consistency: consistencySchema,
})
export type MadeFrom = z.infer<typeof madeFromSchema>

export const templatePortsSchema = z.array(z.number().int().min(1).max(65535)).max(32)

export const templateManifestSchema = z.object({
  formatVersion: z.literal(1),
  name: nameSchema,
  version: templateVersionSchema,
  description: z.string(),
  builtAt: z.iso.datetime(),
  files: z
    .record(templateFileNameSchema, templateFileSchema)
    .refine((files) => rootDiskFileName in files, `must list ${rootDiskFileName}`)
    .refine((files) => new Set(kernelFileNames.map((name) => name in files)).size === 1, {
      error: `must list ${kernelFileNames.join(' and ')}, or neither`,
    }),
  /** Its profile, for machines that boot from its disk. */
  os: guestOsSchema.default('linux'),
  /** What a machine of it has without another word, where it was made from a machine; else its profile says so. */
  guest: guestSchema.optional(),
  /** Where its disk comes from; left out: from a recipe. */
  origin: z.enum(['image', 'machine']).optional(),
  madeFrom: madeFromSchema.optional(),
  kernelVersion: z.string(),
  /** Kernel command line under KVM. */
  commandLine: z.string(),
  /** Kernel command line where every instruction is emulated and other settings are faster. */
  commandLineTcg: z.string(),
  minimumMemoryMiB: z.number().int().min(1),
  defaultMemoryMiB: z.number().int().min(1),
  defaultCpus: z.number().int().min(1),
  /** TCP ports that it serves once it is up. */
  ports: templatePortsSchema,
  guestAgent: z.boolean(),
  /** True when an agent is resident in it that can tell a resumed machine who it is (agent/hypervisor/resident-protocol.ts). */
  residentAgent: z.boolean(),
  /** When its service is up: what a new VM's probe checks unless its owner says otherwise; null when nobody knows. */
  readiness: probeCheckSchema.nullable(),
  /** True when a resumed machine draws new random numbers before its network comes up; without it no warm image may be made. */
  reseedsOnResume: z.boolean(),
})
export type TemplateManifest = z.infer<typeof templateManifestSchema>

/** What is said of a disk that boots by itself and of which nothing else is known. */
export const unknownSystem = {
  kernelVersion: '',
  commandLine: '',
  commandLineTcg: '',
  defaultCpus: 1,
  ports: [],
  guestAgent: false,
  residentAgent: false,
  readiness: null,
  reseedsOnResume: false,
} satisfies Partial<TemplateManifest>

/** How machines of it are started. */
export function bootOf({ files }: Pick<TemplateManifest, 'files'>): 'kernel' | 'firmware' {
  return kernelFileNames.every((name) => name in files) ? 'kernel' : 'firmware'
}
