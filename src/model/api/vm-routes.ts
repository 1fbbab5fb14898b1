import { z } from 'zod'
import { cloudInitSchema } from '../cloud-init.ts'
import { limitsSchema, maximumCpusOfAll, maximumMemoryMiBOfAll } from '../growth.ts'
import { guestWishSchema } from '../guest.ts'
import { ipv4AddressSchema } from '../hardware.ts'
import { nameSchema } from '../ids.ts'
import { cdromDrives } from '../iso.ts'
import { diskFormatSchema } from '../machine-order.ts'
import { placementRulesSchema } from '../placement-rules.ts'
import { probeSchema } from '../recovery/probe.ts'
import { recoverySchema } from '../recovery/recovery-policy.ts'
import { tagSchema } from '../tags.ts'
import { blankTemplate } from '../template-manifest.ts'
import { nicWishesSchema } from './network-routes.ts'
import type { Contract } from './route.ts'
import { taskViewSchema, vmViewSchema } from './views.ts'

/** A name or an id. */
export const referenceSchema = z.string().min(1).max(64)
const vmParams = z.object({ vm: referenceSchema })
/** Its place among the VM's disks, from 1 on, or its volume's id. */
export const diskReferenceSchema = z
  .string()
  .regex(/^(?:\d|vol-[a-z0-9]{8,26})$/, 'must be a number like 1, or a volume')
const vmAndTask = z.object({ vm: vmViewSchema, task: taskViewSchema })

export const createVmSchema = z.strictObject({
  name: nameSchema,
  /** Left out: an empty disk of `rootDiskMiB`, to be filled from a disc. */
  template: referenceSchema.default(blankTemplate),
  /** The root disk; as large as the template's when left out. */
  rootDiskMiB: z.number().int().min(1).max(67_108_864).optional(),
  /** How it boots, and what its operating system knows to use; what its template and that system's profile say when left out. */
  guest: guestWishSchema.default({}),
  /** The discs in its drives at first. */
  isos: z.array(referenceSchema).max(cdromDrives).default([]),
  /** What it is told about itself at its first boot. */
  cloudInit: z.strictObject(cloudInitSchema.shape).nullable().default(null),
  cpus: z.number().int().min(1).max(64).optional(),
  memoryMiB: z.number().int().min(16).max(4_194_304).optional(),
  /** Storage of the root disk and of the further ones; the shared one where there is exactly one, else local. */
  storage: referenceSchema.optional(),
  /** Further disks, empty. */
  disks: z
    .array(
      z.strictObject({ sizeMiB: z.number().int().min(1).max(67_108_864), format: diskFormatSchema.default('qcow2') }),
    )
    .max(8)
    .default([]),
  address: ipv4AddressSchema.optional(),
  /** Its network cards, the first one first; one in the flat network when left out. `address` is the first one's. */
  networks: nicWishesSchema,
  /** Start on this host (and, with a local disk, stay there). */
  host: referenceSchema.optional(),
  ha: z.boolean().default(false),
  autostart: z.boolean().default(true),
  startOrder: z.number().int().min(0).max(1000).default(100),
  /** False: only made, not started. */
  start: z.boolean().default(true),
  /** How it is brought back after a failure. */
  recovery: recoverySchema.default({ mode: 'boot' }),
  /** When its service answers correctly; what the template says when left out, null for nothing. */
  probe: probeSchema.nullable().optional(),
  /** Failures may be injected into it without asking. */
  drillable: z.boolean().default(false),
  /** What it may be sent and may send, from its first moment on; none: it is open. */
  securityGroups: z.array(referenceSchema).max(16).default([]),
  /** Appended to the template's kernel command line; `{host}`, `{epoch}` and `{incarnation}` are filled in at each start. */
  extraCommandLine: z
    .string()
    .max(400)
    .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
    .default(''),
  /** Its labels, and where it may run. */
  placementRules: placementRulesSchema.optional(),
  /** Also when it breaks the reserve for failing hosts. */
  force: z.boolean().default(false),
})
export type CreateVmInput = z.input<typeof createVmSchema>

export const vmRoutes = {
  listVms: {
    method: 'GET',
    path: '/v1/vms',
    role: 'viewer',
    summary: 'All VMs, or those that have this tag.',
    query: z.object({ tag: tagSchema.optional() }),
    response: z.object({ vms: z.array(vmViewSchema), revision: z.number() }),
  },
  getVm: {
    method: 'GET',
    path: '/v1/vms/:vm',
    role: 'viewer',
    summary: 'One VM.',
    params: vmParams,
    response: vmViewSchema,
  },
  createVm: {
    method: 'POST',
    path: '/v1/vms',
    role: 'operator',
    summary: 'Makes a VM from a template and starts it.',
    body: createVmSchema,
    response: vmAndTask,
    status: 202,
  },
  changeVm: {
    method: 'PATCH',
    path: '/v1/vms/:vm',
    role: 'operator',
    summary: 'Changes its size and limits, how it recovers, what its service is, or whether drills need no word.',
    params: vmParams,
    body: z.strictObject({
      recovery: recoverySchema.optional(),
      probe: probeSchema.nullable().optional(),
      drillable: z.boolean().optional(),
      cpus: z.number().int().min(1).max(maximumCpusOfAll).optional(),
      memoryMiB: z.number().int().min(16).max(maximumMemoryMiBOfAll).optional(),
      /** Those that are named; null takes one away. */
      limits: limitsSchema.partial().optional(),
      /** Also when it breaks the reserve for failing hosts. */
      force: z.boolean().default(false),
    }),
    response: vmViewSchema,
  },
  attachDisk: {
    method: 'POST',
    path: '/v1/vms/:vm/disks',
    role: 'operator',
    summary: 'Gives it one more disk, while it runs or is stopped; or puts back one that was taken out.',
    params: vmParams,
    body: z.union([
      z.strictObject({
        sizeMiB: z.number().int().min(1).max(67_108_864),
        format: diskFormatSchema.default('qcow2'),
        storage: referenceSchema.optional(),
      }),
      z.strictObject({ disk: diskReferenceSchema }),
    ]),
    response: vmAndTask,
    status: 202,
  },
  resizeDisk: {
    method: 'PATCH',
    path: '/v1/vms/:vm/disks/:disk',
    role: 'operator',
    summary: 'Makes a disk larger; one that runs sees it at once.',
    params: z.object({ vm: referenceSchema, disk: diskReferenceSchema }),
    body: z.strictObject({ sizeMiB: z.number().int().min(1).max(67_108_864) }),
    response: vmViewSchema,
  },
  detachDisk: {
    method: 'DELETE',
    path: '/v1/vms/:vm/disks/:disk',
    role: 'operator',
    summary: 'Takes a disk out. It stays the VM’s, and can be put back, unless it is deleted.',
    params: z.object({ vm: referenceSchema, disk: diskReferenceSchema }),
    query: z.object({ delete: z.stringbool().default(false) }),
    response: vmAndTask,
    status: 202,
  },
  warmVm: {
    method: 'POST',
    path: '/v1/vms/:vm/warm',
    role: 'operator',
    summary: 'Captures a new memory image of it, which recoveries resume from then on.',
    params: vmParams,
    response: vmAndTask,
    status: 202,
  },
  startVm: {
    method: 'POST',
    path: '/v1/vms/:vm/start',
    role: 'operator',
    summary: 'Wants it running.',
    params: vmParams,
    body: z
      .strictObject({ /** Also when it breaks the reserve for failing hosts. */ force: z.boolean().default(false) })
      .default({ force: false }),
    response: vmAndTask,
    status: 202,
  },
  stopVm: {
    method: 'POST',
    path: '/v1/vms/:vm/stop',
    role: 'operator',
    summary: 'Presses its power button and wants it stopped.',
    params: vmParams,
    body: z.strictObject({ timeoutSeconds: z.number().min(1).max(3600).default(60) }).default({ timeoutSeconds: 60 }),
    response: vmAndTask,
    status: 202,
  },
  killVm: {
    method: 'POST',
    path: '/v1/vms/:vm/kill',
    role: 'operator',
    summary: 'Cuts its power and wants it stopped.',
    params: vmParams,
    response: vmAndTask,
    status: 202,
  },
  pauseVm: {
    method: 'POST',
    path: '/v1/vms/:vm/pause',
    role: 'operator',
    summary: 'Stops its vCPUs.',
    params: vmParams,
    response: vmAndTask,
    status: 202,
  },
  resumeVm: {
    method: 'POST',
    path: '/v1/vms/:vm/resume',
    role: 'operator',
    summary: 'Lets its vCPUs go on.',
    params: vmParams,
    response: vmAndTask,
    status: 202,
  },
  resetVm: {
    method: 'POST',
    path: '/v1/vms/:vm/reset',
    role: 'operator',
    summary: 'Presses its reset button.',
    params: vmParams,
    response: vmViewSchema,
  },
  deleteVm: {
    method: 'DELETE',
    path: '/v1/vms/:vm',
    role: 'operator',
    summary: 'Deletes it with its disks. A running one only with force.',
    params: vmParams,
    query: z.object({
      force: z.stringbool().default(false),
      /** Also when it has protected snapshots, which go with it. */
      protectedToo: z.stringbool().default(false),
    }),
    response: vmAndTask,
    status: 202,
  },
  vmConsole: {
    method: 'GET',
    path: '/v1/vms/:vm/console',
    role: 'operator',
    summary: 'Its serial console, also over moves and recoveries. A browser shows a ticket.',
    params: vmParams,
    query: z.object({ ticket: z.string().max(64).optional() }),
    stream: 'upgrade',
  },
  vmConsoleTicket: {
    method: 'POST',
    path: '/v1/vms/:vm/console/tickets',
    role: 'operator',
    summary: 'A ticket with which this session may open the serial console once, within seconds.',
    params: vmParams,
    response: z.object({ ticket: z.string() }),
    status: 201,
  },
} as const satisfies Contract
