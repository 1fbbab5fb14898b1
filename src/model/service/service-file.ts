/**
 * What somebody writes down about a service and applies: its components, what they need, which of them are restarted together, and what is
 * promised of it. Unknown fields are refused. `docs/service-file.schema.json` is made from this schema.
 */
import { z } from 'zod'
import { ipv4AddressSchema } from '../hardware.ts'
import { nameSchema } from '../ids.ts'
import { probeSchema } from '../recovery/probe.ts'
import { recoverySchema } from '../recovery/recovery-policy.ts'

const referenceSchema = z.string().min(1).max(64)
const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `300ms`, `2s`, `5m`, `12h`, `30d`. */
const timeSchema = z.string().regex(/^\d{1,6}(?:ms|s|m|h|d)$/, 'must be a time like 300ms, 2s, 5m, 12h or 30d')

/** What a time of a service file is in milliseconds. */
export function millisecondsOf(time: string): number {
  const [, amount = '0', unit = 'ms'] = /^(\d+)(ms|s|m|h|d)$/.exec(time) ?? []
  return Number(amount) * (Object.entries(unitsMs).find(([name]) => name === unit)?.[1] ?? 1)
}

const recoveryWishSchema = z.union([z.enum(['boot', 'warm']), recoverySchema])

export const componentSchema = z.strictObject({
  template: referenceSchema,
  replicas: z.number().int().min(1).max(100).default(1),
  /** What its template says, when left out. */
  cpus: z.number().int().min(1).max(64).optional(),
  memoryMiB: z.number().int().min(16).max(4_194_304).optional(),
  /** Further disks of each replica, empty at first. */
  disks: z
    .array(z.strictObject({ sizeMiB: z.number().int().min(1).max(67_108_864) }))
    .max(8)
    .default([]),
  /** One card in each; the flat network when left out. */
  networks: z.array(referenceSchema).min(1).max(8).optional(),
  /** Of its first card; only for a component of one replica. */
  address: ipv4AddressSchema.optional(),
  /** When it answers correctly; the template's readiness check when left out. */
  probe: probeSchema.optional(),
  /** It gives no correct answers without these: when one of them fails as well, that one is the suspect. They start before it. */
  needs: z.array(nameSchema).default([]),
  /** They serve before it is started; it does without them later. */
  startsAfter: z.array(nameSchema).default([]),
  /** How its machines come back after a failure; as the service says when left out. */
  recovery: recoveryWishSchema.optional(),
  /** Its machines go on elsewhere when their host dies; as the service says when left out. */
  ha: z.boolean().optional(),
  /** Failures may be injected into it without asking. */
  drillable: z.boolean().default(false),
})
export type ServiceComponent = z.infer<typeof componentSchema>

/** A cell of the restart tree: what is in it is restarted together. */
export type RestartGroup = {
  readonly name: string
  readonly components: readonly string[]
  readonly groups: readonly RestartGroup[]
}
export const groupSchema: z.ZodType<RestartGroup, RestartGroupInput> = z.lazy(() =>
  z.strictObject({
    name: nameSchema,
    components: z.array(nameSchema).default([]),
    groups: z.array(groupSchema).default([]),
  }),
)
type RestartGroupInput = {
  readonly name: string
  readonly components?: readonly string[] | undefined
  readonly groups?: readonly RestartGroupInput[] | undefined
}

export const serviceFileSchema = z.strictObject({
  service: nameSchema,
  /** Per cent of the time in which every component has a replica that serves. */
  availability: z.number().min(1).max(99.999_999).optional(),
  /** The longest that a component is away when a machine of it fails. */
  recoverWithin: timeSchema.optional(),
  /** How long a machine is assumed to work until it fails, where nothing is measured yet. */
  assumedMttf: timeSchema.default('30d'),
  recovery: recoveryWishSchema.default('boot'),
  ha: z.boolean().default(true),
  components: z
    .record(nameSchema, componentSchema)
    .refine((all) => Object.keys(all).length > 0, 'must have a component'),
  /** The restart tree below the whole service; one that follows from `needs` when left out. */
  groups: z.array(groupSchema).optional(),
})
export type ServiceFile = z.infer<typeof serviceFileSchema>
export type ServiceFileInput = z.input<typeof serviceFileSchema>

/** What is wrong with a service file, and where: the way to it from the top. */
export type FileProblem = { readonly path: readonly (string | number)[]; readonly message: string }
